"""An existing domain's XML brought to a configuration, with everything that a spec does not express kept.

PCI addresses, the machine's version, other devices and other people's metadata stay as they are: each part is touched
only where it says something else than the configuration, so amending twice changes nothing.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from reconciler.hypervisor import domain_parts as render
from reconciler.hypervisor.domain_mark import MARK, render_mark
from reconciler.hypervisor.domain_parse import parse_config
from reconciler.hypervisor.xml_nodes import Node, attribute, from_text, node, to_text
from reconciler.model.domain import DiskConfig, DomainConfig

_FAMILIES: Final = {"q35": "pc-q35-", "pc": "pc-i440fx-"}


def amend(xml: str, config: DomainConfig) -> str:
    """The inactive XML `xml` brought to `config`; the text is unchanged where nothing differs.

    Raises `lxml.etree.XMLSyntaxError` for what is not XML.
    """
    now = parse_config(xml, autostart=config.autostart)
    if same_machine(now.machine, config.machine) and now == _with_machine(config, now.machine):
        return xml
    root = from_text(xml)
    work = _Amendment(root, _child(root, "devices"), now, config)
    work.identity()
    work.processors()
    work.machine()
    work.disks()
    work.nics()
    work.other_devices()
    return to_text(root)


def same_machine(observed: str, wanted: str) -> bool:
    """Whether an observed machine type serves; `q35` is served by each of its versions."""
    return observed == wanted or (wanted in _FAMILIES and observed.startswith(_FAMILIES[wanted]))


def _with_machine(config: DomainConfig, machine: str) -> DomainConfig:
    return replace(config, machine=machine)


class _Amendment(Struct, frozen=True):
    """One document on its way from `now` to `config`."""

    root: Node
    devices: Node
    now: DomainConfig
    config: DomainConfig

    def identity(self) -> None:
        """Name, UUID, type and mark."""
        now, config = self.now, self.config
        self.root.set("type", config.domain_type)
        if (now.title, now.description) != (config.title, config.description):
            _remove(self.root, [each for tag in ("title", "description") for each in self.root.findall(tag)])
            self.root.extend(render.render_description(config))
        _child(self.root, "name").text = config.name
        _child(self.root, "uuid").text = config.uuid
        if now.mark != config.mark:
            metadata = _child(self.root, "metadata")
            _remove(metadata, [each for each in metadata if each.tag == MARK])
            metadata.extend([] if config.mark is None else [render_mark(config.mark)])

    def processors(self) -> None:
        """CPUs and memory."""
        now, config = self.now, self.config
        if (now.vcpus, now.max_vcpus) != (config.vcpus, config.max_vcpus):
            self._replace("vcpu", render.render_vcpu(config))
            # Which single CPUs are on would contradict the new count.
            _remove(self.root, self.root.findall("vcpus"))
        if now.max_vcpus != config.max_vcpus:
            for cpu in self.root.findall("cpu"):
                _remove(cpu, cpu.findall("topology"))
        if now.cpu_model != config.cpu_model and config.cpu_model:
            self._replace("cpu", render.render_cpu(config.cpu_model, config.domain_type))
        if (now.memory, now.max_memory) != (config.memory, config.max_memory):
            for element in render.render_memory(config):
                self._replace(str(element.tag), element)

    def machine(self) -> None:
        """Machine type and firmware; another family has other buses, so every address is given anew."""
        now, config = self.now, self.config
        system = _child(self.root, "os")
        if not same_machine(now.machine, config.machine):
            self._set_machine(_child(system, "type"))
            if render.is_q35(now.machine) != render.is_q35(config.machine):
                self._forget_buses()
        if now.firmware != config.firmware:
            self._set_firmware(system)

    def _set_machine(self, kind: Node) -> None:
        if self.config.machine:
            kind.set("machine", self.config.machine)
        else:
            kind.attrib.pop("machine", None)

    def _forget_buses(self) -> None:
        _remove(self.devices, [each for each in self.devices.findall("controller") if each.get("type") != "scsi"])
        for device in self.devices:
            _remove(device, [address for address in device.findall("address") if address.get("type") == "pci"])
        if render.is_q35(self.config.machine):
            self.devices.extend(render.render_pcie_ports(self.config))

    def _set_firmware(self, system: Node) -> None:
        _remove(system, [part for tag in ("firmware", "loader", "nvram") for part in system.findall(tag)])
        features = _child(self.root, "features")
        _remove(features, features.findall("smm"))
        if self.config.firmware == "bios":
            system.attrib.pop("firmware", None)
            return
        system.set("firmware", "efi")
        system.insert(1, render.render_firmware(self.config))
        if self.config.firmware == "uefi-secure":
            features.append(node("smm", state="on"))

    def disks(self) -> None:
        """Disks by target; one that stays keeps its address and whatever else was tuned on it."""
        elements = {
            attribute(each, "target", "dev"): each
            for each in self.devices.findall("disk")
            if each.get("device", "disk") == "disk"
        }
        _remove(self.devices, list(elements.values()))
        now = {disk.target: disk for disk in render.all_disks(self.now)}
        place = 0 if self.devices.find("emulator") is None else 1
        for disk in reversed(render.all_disks(self.config)):
            seed, was = disk == self.config.seed, now.get(disk.target)
            element = elements.get(disk.target)
            if element is None or was is None or was.bus != disk.bus:
                element = render.render_disk(disk, seed=seed)
            elif was != disk or seed != (was == self.now.seed):
                _amend_disk(element, disk, seed=seed, tuned_anew=was.io_tune != disk.io_tune)
            self.devices.insert(place, element)
        if any(disk.bus == "scsi" for disk in render.all_disks(self.config)):
            self._ensure_scsi()

    def _ensure_scsi(self) -> None:
        if not any(each.get("type") == "scsi" for each in self.devices.findall("controller")):
            self.devices.append(render.render_scsi_controller())

    def nics(self) -> None:
        """NICs by MAC."""
        if self.now.nics == self.config.nics:
            return
        elements = {attribute(each, "mac", "address").lower(): each for each in self.devices.findall("interface")}
        now = {nic.mac: nic for nic in self.now.nics}
        _remove(self.devices, self.devices.findall("interface"))
        for nic in self.config.nics:
            kept = elements.get(nic.mac)
            if kept is None or now[nic.mac] != nic:
                fresh = render.render_nic(nic)
                _keep(kept, fresh, ("address", "boot", "mtu"))
                kept = fresh
            self.devices.append(kept)

    def other_devices(self) -> None:
        now, config = self.now, self.config
        if (now.serial_console, now.console_log) != (config.serial_console, config.console_log):
            self._discard("serial")
            _remove(self.devices, [each for each in self.devices.findall("console") if _is_serial(each)])
            self.devices.extend([render.render_serial(config.console_log)] if config.serial_console else [])
        if now.agent_channel != config.agent_channel:
            channels = self.devices.findall("channel")
            _remove(
                self.devices, [each for each in channels if attribute(each, "target", "name") == render.AGENT_CHANNEL]
            )
            self.devices.extend([render.render_agent_channel()] if config.agent_channel else [])
        if now.graphics != config.graphics:
            _remove(self.devices, [each for each in self.devices.findall("graphics") if each.get("type") == "vnc"])
            self._discard("video")
            self.devices.extend(render.render_vnc() if config.graphics == "vnc" else ())
        if now.watchdog != config.watchdog:
            watchdogs = self.devices.findall("watchdog")
            _remove(self.devices, [each for each in watchdogs if each.get("model") == render.WATCHDOG])
            self.devices.extend([] if config.watchdog is None else [render.render_watchdog(config.watchdog)])
        if now.tpm != config.tpm:
            emulated = [
                each for each in self.devices.findall("tpm") if attribute(each, "backend", "type") == "emulator"
            ]
            _remove(self.devices, emulated)
            self.devices.extend([] if config.tpm == "none" else [render.render_tpm(config.tpm)])
        if now.clock != config.clock:
            clock = self.root.find("clock")
            if clock is None:
                self.root.append(render.render_clock(config.clock))
            else:
                clock.set("offset", config.clock)
        if now.rng != config.rng:
            self._discard("rng")
            self.devices.extend([render.render_rng()] if config.rng else [])
        if now.balloon != config.balloon:
            self._discard("memballoon")
            self.devices.append(render.render_balloon(config.balloon))

    def _replace(self, tag: str, element: Node) -> None:
        old = self.root.find(tag)
        if old is None:
            self.root.append(element)
        else:
            self.root.replace(old, element)

    def _discard(self, tag: str) -> None:
        _remove(self.devices, self.devices.findall(tag))


def _amend_disk(element: Node, disk: DiskConfig, *, seed: bool, tuned_anew: bool) -> None:
    """Source, format, access and limits of a disk that stays on its bus."""
    fresh = render.render_disk(disk, seed=seed)
    element.set("type", fresh.get("type", "file"))
    driver = element.find("driver")
    if driver is not None:
        driver.set("type", disk.format)
    gone = ("source", "readonly", "alias", "backingStore", *(("iotune",) if tuned_anew else ()))
    _remove(element, [part for tag in gone for part in element.findall(tag)])
    for part in fresh:
        if element.find(str(part.tag)) is None:
            element.append(part)


def _keep(old: Node | None, fresh: Node, tags: tuple[str, ...]) -> None:
    """Move parts that a spec does not express from an old element to the one that takes its place."""
    if old is not None:
        fresh.extend([part for tag in tags for part in old.findall(tag)])


def _is_serial(console: Node) -> bool:
    return attribute(console, "target", "type", "serial") == "serial"


def _child(parent: Node, tag: str) -> Node:
    found = parent.find(tag)
    if found is None:
        found = node(tag)
        parent.append(found)
    return found


def _remove(parent: Node, children: list[Node]) -> None:
    for child in children:
        parent.remove(child)
