"""VirtualMachine: the point of it all."""

from __future__ import annotations

import hashlib
import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from reconciler.model.limits import Bandwidth, IoTune
from reconciler.model.network import BridgeName
from reconciler.model.quantities import Duration, Size
from reconciler.model.resource import Items, Labels, Line, Model, Name, Resource
from reconciler.model.secret_ref import SecretRef, fault_of
from reconciler.model.seed_secrets import has_broken_placeholder, placeholders
from reconciler.model.version import LATEST, instant_of, parse_instant, parse_version_name

_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_VOLUME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:@+ -]{0,254}")
_MAC: Final = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")

RunStrategy = Literal["Always", "RerunOnFailure", "Manual", "Halted"]
UpdatePolicy = Literal["live", "stage", "restart"]
OnChange = Literal["ignore", "reseed"]


def _unicast_mac(value: str) -> str:
    if not _MAC.fullmatch(value):
        raise ValueError(
            f"{value!r} is not a MAC address; write six pairs of lowercase hex digits, such as 52:54:00:12:34:56"
        )
    if int(value[:2], 16) & 1:
        raise ValueError(f"{value} is a multicast address; the first pair must be even, such as 52")
    return value


def _plain_text(value: str) -> str:
    if value != value.strip() or not all(line.isprintable() for line in value.replace("\t", " ").split("\n")):
        raise ValueError("must be printable text that neither begins nor ends with white space; write it with |-")
    return value


Mac = Annotated[str, AfterValidator(_unicast_mac)]
CpuCount = Annotated[int, Field(ge=1, le=710)]


class Cpu(Model):
    """Virtual CPUs."""

    count: CpuCount = 1
    """CPUs that the guest has."""
    max: CpuCount | None = None
    """CPUs that the guest may be given without a reboot; `count` when absent."""
    model: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")] = "host-model"
    """`host-model`, `host-passthrough`, `maximum`, `fleet-baseline` (what all hosts of the fleet have), or a model that
    libvirt knows, such as `EPYC` or `qemu64`; `hypervisor-default` leaves it as it is, or to the hypervisor."""

    @model_validator(mode="after")
    def _max_covers_count(self) -> Cpu:
        if self.max is not None and self.max < self.count:
            raise ValueError(f"max {self.max} is less than count {self.count}")
        return self


def _checked_image(value: str) -> str:
    if "@" in value:
        parse_version_name(value)
    elif not _NAME.fullmatch(value):
        raise ValueError(f"{value!r} is no name of an image; names are lower case letters, digits and dashes")
    return value


def _volume_name(value: str) -> str:
    if _VOLUME.fullmatch(value) and value == value.strip():
        return value
    raise ValueError(f"{value!r} is no name of a volume: letters, digits and . _ : @ + - and no slash")


DiskImage = Annotated[Line, AfterValidator(_checked_image)]
VolumeName = Annotated[str, Field(max_length=255), AfterValidator(_volume_name)]


class Disk(Model):
    """One disk of a VM."""

    name: Name
    """Unique within the VM; part of the volume's name."""
    pool: Name
    """StoragePool that holds the volume."""
    volume: VolumeName | None = None
    """Volume that is there already, and that the VM, as it was adopted, has: it is used as it is, never made and never
    deleted. A new volume of the controller's own naming when absent."""
    image: DiskImage | None = None
    """Image that the disk starts as; an empty disk when absent. Of one that is captured from a VM, the version too:
    `NAME@latest`, which is the newest there is when the disk is made, or `NAME@2026-11-22T02:00Z`."""
    image_disk: Name | None = None
    """Which disk of the version it starts as; that of the same name, or the only one, when absent."""
    size: Size | None = None
    """Size that the guest sees; the image's own when absent. It can grow, never shrink."""
    format: Literal["qcow2", "raw"] = "qcow2"
    """Format of the volume."""
    clone: Literal["linked", "full"] = "linked"
    """`linked` is an overlay on the shared read-only base; `full` is a copy of its own."""
    bus: Literal["virtio", "scsi", "sata", "ide", "usb"] = "virtio"
    """Bus that the guest sees the disk on; `ide` is for machine type `pc`."""
    read_only: bool = False
    """Whether the guest may only read it."""
    io_tune: IoTune | None = None
    """I/O limits; unlimited when absent."""

    @property
    def image_name(self) -> str | None:
        """The image alone, without a version."""
        return self.image.partition("@")[0] if self.image is not None else None

    @model_validator(mode="after")
    def _makeable(self) -> Disk:
        if self.image_disk is not None and (self.image is None or "@" not in self.image):
            raise ValueError("imageDisk is for an image with a version, such as image: web-1-golden@latest")
        if self.volume is not None and self.image is not None:
            raise ValueError("volume is a disk that is there already and image is for a new one; leave one of them out")
        if self.image is None and self.size is None and self.volume is None:
            raise ValueError("an empty disk needs a size, such as size: 20GiB")
        is_overlay = self.image is not None and "@" not in self.image and self.clone == "linked"
        if self.format == "raw" and is_overlay:
            raise ValueError("a linked clone is an overlay and must be qcow2; write clone: full for a raw disk")
        return self


class Nic(Model):
    """One network card of a VM."""

    network: Name | None = None
    """Network that it is plugged into."""
    bridge: BridgeName | None = None
    """Instead of a network: bridge of the host that it is plugged into."""
    mac: Mac | None = None
    """Hardware address; derived from fleet, VM and index when absent."""
    model: Literal["virtio", "e1000e", "e1000", "rtl8139"] = "virtio"
    """Card that the guest sees."""
    link: Literal["up", "down"] = "up"
    """Whether the guest sees a cable plugged in."""
    bandwidth: Bandwidth | None = None
    """Limits of what it sends and receives; unlimited when absent."""

    @property
    def network_name(self) -> str:
        """As a domain's configuration names it: the network, or `bridge:br0`."""
        return self.network or f"bridge:{self.bridge}"

    @model_validator(mode="after")
    def _plugged_in_once(self) -> Nic:
        if (self.network is None) == (self.bridge is None):
            raise ValueError("name exactly one of network and bridge")
        return self


SecretName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")]


class CloudInit(Model):
    """What cloud-init in the guest is told, by a NoCloud seed."""

    user_data: str
    """Cloud-config or script, as it is; begins with `#cloud-config` or `#!`."""
    network_config: str | None = None
    """cloud-init network configuration, version 1 or 2; DHCP on every card when absent."""
    on_change: OnChange = "ignore"
    """`reseed` gives a changed seed to the VM with a new instance id; `ignore` leaves the VM as it was seeded."""
    secrets: dict[SecretName, SecretRef] = Field(default_factory=dict)
    """What `${secret:NAME}` in these texts stands for, by name: `{file: …}`, `{env: …}`, `{age: …}` or `{sops: …}`.
    Read when a seed is made; `$${secret:` is meant literally."""
    revision: Line = ""
    """Any text; another one makes another seed. A secret whose value changed is seen by that alone."""

    @model_validator(mode="after")
    def _secrets_have_places(self) -> CloudInit:
        texts = (self.user_data, self.network_config or "")
        wanted = {name for text in texts for name in placeholders(text)}
        if any(map(has_broken_placeholder, texts)):
            raise ValueError("a placeholder is not complete; write ${secret:NAME}, or $${secret: for the text itself")
        if missing := sorted(wanted - self.secrets.keys()):
            raise ValueError(f"${{secret:{missing[0]}}} stands for nothing; name it below secrets")
        if unused := sorted(self.secrets.keys() - wanted):
            raise ValueError(f"secrets.{unused[0]} has no place; write ${{secret:{unused[0]}}} where it belongs")
        for name, reference in self.secrets.items():
            if fault := fault_of(reference):
                raise ValueError(f"secrets.{name}: {fault}")
        return self


def _checked_instant(value: str) -> str:
    return value if value == LATEST else instant_of(parse_instant(value))


Instant = Annotated[Line, AfterValidator(_checked_instant)]


class Restore(Model):
    """What disks of the VM are brought back to; done once for each value that this has, however long it stands."""

    image: Name | None = None
    """Image that is captured from a VM, whose version the disks are made from."""
    version: Instant = LATEST
    """Instant of the version, such as `2026-11-22T02:00Z`; `latest` is the newest there is when it is begun."""
    tombstone: Instant | None = None
    """Instead of an image: when the disks were replaced that are to be the VM's again, as `status` tells it, or
    `latest`. A restore is undone with that."""
    disks: Items[Name] = ()
    """Which of its disks; all that the version, or the tombstone, has when empty."""
    again: Annotated[int, Field(ge=0)] = 0
    """Counted up, it makes the value another one: the same is done once more."""

    @model_validator(mode="after")
    def _one_source(self) -> Restore:
        if (self.image is None) == (self.tombstone is None):
            raise ValueError("name exactly one of image and tombstone")
        if self.tombstone is not None and "version" in self.model_fields_set:
            raise ValueError("version is of an image; a tombstone has none")
        if len(set(self.disks)) != len(self.disks):
            raise ValueError("a disk is named twice; name each once")
        return self

    @property
    def value(self) -> str:
        """Short hash of what it says: what was done is known by it."""
        said = "|".join((self.image or "", self.version, self.tombstone or "", ",".join(self.disks), str(self.again)))
        return hashlib.sha256(said.encode()).hexdigest()[:16]


class Placement(Model):
    """Where the VM may run."""

    hosts: Items[Name] = ()
    """Hosts that it may run on; any host when empty."""
    node_selector: Labels = Field(default_factory=dict)
    """Labels that its host must have."""
    spread: Labels = Field(default_factory=dict)
    """Never two VMs with these labels on one host."""
    prefer_spread: Labels = Field(default_factory=dict)
    """As `spread`, where it can be had."""
    on_drain: Literal["migrate", "shutdown", "block"] = "migrate"
    """What happens when its host is to be emptied (`state: maintenance`): `migrate` has it moved while it runs, and
    waits where no other host takes it; `shutdown` shuts it down then, until the host is active again; `block` leaves it
    to people."""


class HighAvailability(Model):
    """What happens when the VM's host dies."""

    enabled: bool = True
    """Restart elsewhere once the host is proven dead."""
    priority: Annotated[int, Field(ge=0, le=1000)] = 100
    """Who goes first where there is not room for all; higher is first."""
    on_host_loss: Literal["wait", "rebuild"] = "wait"
    """For disks in pools that died with the host: `wait` for it, or `rebuild` them from their images elsewhere; what
    was written to them since is lost to the VM."""


class GuestAgent(Model):
    """qemu-guest-agent inside the guest."""

    liveness: Annotated[Duration, Field(ge=5)]
    """How long the agent may be silent before `status` says that the guest is not answering, which is all that is done
    about it; longer than the guest takes to boot."""


class Watchdog(Model):
    """A device that acts once the guest's system has stopped feeding it; the guest has to be set up to feed it."""

    model: Literal["i6300esb"] = "i6300esb"
    """Device that the guest sees."""
    action: Literal["reset", "poweroff", "pause", "none"] = "reset"
    """What is done to the guest; one that is powered off is run again as `runStrategy` says."""


class Devices(Model):
    """What a VM has beside disks and cards; a VM that was adopted may lack some of it."""

    guest_agent_channel: bool = True
    """The channel by which the agent in the guest is reached."""
    serial_console: bool = True
    """A serial port, which `virsh console` shows."""
    console_log: bool = True
    """Whether what the guest prints there is kept in a file on the host."""
    rng: bool = True
    """A source of randomness, from the host's."""
    balloon: bool = True
    """What memory is taken and given back by while the guest runs."""


class Shutdown(Model):
    """How the VM is shut down to be restarted or halted; the guest is asked by its agent, or else by ACPI."""

    timeout: Annotated[Duration, Field(ge=1)] | None = None
    """How long the guest may take; the controller's `shutdownTimeout` when absent."""
    force: bool = True
    """Whether it is forced off after that; else it runs on, which is told, and is asked again with growing pauses."""


class VirtualMachineSpec(Model):
    """What the VM is and how it is run."""

    title: Annotated[Line, Field(min_length=1), AfterValidator(_plain_text)] | None = None
    """A line for people, which libvirt's tools show (`virsh list --title`); none when absent."""
    description: Annotated[str, Field(min_length=1, max_length=4096), AfterValidator(_plain_text)] | None = None
    """Text for people, which libvirt's tools show (`virsh desc`); none when absent."""
    run_strategy: RunStrategy = "Always"
    """`Always` on; `RerunOnFailure` again after a failure that is certain; `Manual` left to people; `Halted` off."""
    domain_type: Literal["kvm", "qemu"] = "kvm"
    """`qemu` is emulation, for hosts without KVM."""
    machine: Annotated[str, Field(pattern=r"^[a-z0-9.-]{1,64}$")] = "q35"
    """Machine type; an unversioned one keeps the version that it got first."""
    firmware: Literal["bios", "uefi", "uefi-secure"] = "bios"
    """What boots the guest."""
    cpu: Cpu = Cpu()
    """Virtual CPUs."""
    memory: Size
    """Memory that the guest has."""
    max_memory: Size | None = None
    """Memory that the guest may be given without a reboot; `memory` when absent."""
    disks: Items[Disk] = ()
    """Disks in boot order."""
    networks: Items[Nic] = ()
    """Network cards in order."""
    cloud_init: CloudInit | None = None
    """First-boot configuration; needs a disk, beside which the seed is stored."""
    graphics: Literal["none", "vnc"] = "none"
    """`vnc` listens on the host's loopback."""
    guest_agent: GuestAgent | None = None
    """Whether the agent in the guest is asked for signs of life; never when absent."""
    watchdog: Watchdog | None = None
    """A watchdog device; none when absent."""
    devices: Devices = Devices()
    """What else it has."""
    clock: Literal["utc", "localtime"] | None = None
    """What the guest's hardware clock shows at its start; when absent as it is, and `utc` for a new VM."""
    tpm: Literal["none", "tpm-crb", "tpm-tis"] | None = None
    """An emulated TPM 2.0, whose state is kept on the host alone; when absent as it is, and none for a new VM."""
    placement: Placement = Placement()
    """Where the VM may run."""
    ha: HighAvailability = HighAvailability()
    """What happens when the VM's host dies."""
    update_policy: UpdatePolicy = "live"
    """`live` changes what it can at once and stages the rest; `stage` waits for the next boot with all but larger
    disks; `restart` may reboot."""
    shutdown: Shutdown = Shutdown()
    """How it is shut down to be restarted or halted."""
    restore: Restore | None = None
    """Brings disks back to what they were at an earlier instant; name, UUID, MACs and host stay."""
    deletion_policy: Literal["retain", "delete"] = "retain"
    """What happens to the disks when the VM leaves the specs: kept for `tombstoneRetention`, or deleted with it."""

    @property
    def memory_ceiling(self) -> int:
        """Bytes that its guest may come to have without a restart: what its host promises it."""
        return self.max_memory or self.memory

    @model_validator(mode="after")
    def _consistent(self) -> VirtualMachineSpec:
        if self.max_memory is not None and self.max_memory < self.memory:
            raise ValueError("maxMemory is less than memory")
        if self.cloud_init is not None and not self.disks:
            raise ValueError("cloudInit needs a disk, beside which the seed is stored")
        names = [disk.name for disk in self.disks]
        self._check_machine_and_disks()
        doubled = {name for name in names if names.count(name) > 1}
        if doubled:
            raise ValueError(f"disk name {min(doubled)!r} is used twice")
        unknown = set(self.restore.disks) - set(names) if self.restore else set()
        if unknown:
            raise ValueError(f"restore names disk {min(unknown)!r}, which the VM does not have")
        return self

    def _check_machine_and_disks(self) -> None:
        if self.machine.startswith(("q35", "pc-q35")) and any(disk.bus == "ide" for disk in self.disks):
            raise ValueError("machine type q35 has no IDE; write bus: sata, or machine: pc")
        found = next((disk for disk in self.disks if disk.volume is not None), None)
        if found is not None and self.deletion_policy == "delete":
            raise ValueError(
                f"disk {found.name} is a volume that was there before, which is never deleted; write"
                " deletionPolicy: retain"
            )


class VirtualMachine(Resource):
    """A virtual machine."""

    kind: Literal["VirtualMachine"]
    spec: VirtualMachineSpec


Line_ = Line  # re-exported for adopters of the module's vocabulary
