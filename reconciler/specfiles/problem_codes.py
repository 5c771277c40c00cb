"""The stable codes of spec problems: what each means and how it is mended; docs/ERRORS.md is generated from here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

from msgspec import Struct

Code = Literal[
    "S001", "S002", "S003", "S004", "S005", "S006", "S007",
    "S010", "S011", "S012", "S013", "S014", "S015", "S016", "S017", "S018", "S019", "S020",
    "S030", "S031", "S032", "S033", "S034", "S035", "S036", "S037", "S038", "S039",
    "S040", "S041", "S042", "S043", "S044", "S045", "S046", "S047", "S048", "S049", "S050",
    "S051", "S052", "S053",
]  # fmt: skip


class CodeInfo(Struct, frozen=True):
    """One code; a `warning` leaves the object in use, an `error` does not."""

    code: Code
    title: str
    severity: Literal["error", "warning"]
    explanation: str


_TABLE: Final = (
    CodeInfo("S001", "The directory of specs cannot be used", "error",
             "It is missing, is not a directory, or may not be read. Nothing is removed from any host while this lasts;"
             " a running controller goes on with the specs that it read last."),
    CodeInfo("S002", "The directory holds no specs", "error",
             "An empty directory is taken for an unmounted or half-made one, never for the wish to remove every VM."
             " To remove all VMs, leave one spec, such as a Host, in place."),
    CodeInfo("S003", "Everybody on this machine may write the specs", "error",
             "Whoever can write specs commands every host. Take the permission away: chmod -R o-w DIR."),
    CodeInfo("S004", "A file cannot be read", "error",
             "The operating system refused, or the file vanished while it was read. What it defined is left as it is."),
    CodeInfo("S005", "Not a regular file", "error",
             "A FIFO, socket or device among the specs is never opened. Move it elsewhere, or let its name not end in"
             " .yaml or .yml."),
    CodeInfo("S006", "A link leads elsewhere", "error",
             "A link to a file is followed only within the directory of specs, a link to a directory never. Put the"
             " file itself there."),
    CodeInfo("S007", "Too much to read", "error",
             "Files, their number and the depth of directories are bounded, so that no checkout can exhaust the"
             " controller. Split large files."),
    CodeInfo("S010", "Not YAML", "error",
             "The file breaks a rule of YAML 1.2, holds a key twice, or uses something that is refused here: tags,"
             " merge keys, too many aliases, too deep nesting. None of its objects could be read; all other files are"
             " checked, and a name that is written in it is not called unknown elsewhere."),
    CodeInfo("S011", "Not an object", "error",
             "Each document is a mapping with apiVersion, kind, metadata and spec."),
    CodeInfo("S012", "Kind missing or unknown", "error",
             "The kinds are Host, StoragePool, Network, Image, VirtualMachine and Approval."),
    CodeInfo("S013", "apiVersion missing or unknown", "error",
             "This version of the program reads apiVersion: reconciler/v1."),
    CodeInfo("S014", "Unknown field", "error",
             "A field that is not known would be ignored, so it is refused; mostly it is a slip of the pen. Names are"
             " in camelCase."),
    CodeInfo("S015", "Required field missing", "error", "The object means nothing without this field."),
    CodeInfo("S016", "Wrong type of value", "error",
             "Text where a number is needed, a list where a mapping is needed, and so on. Nothing is converted"
             ' silently; quotes make text of any value: "1".'),
    CodeInfo("S017", "Not one of the possible values", "error",
             "The field takes one of a few words, listed in the message."),
    CodeInfo("S018", "Out of range", "error", "The number or text is smaller or larger than the field allows."),
    CodeInfo("S019", "Malformed value", "error",
             "The value has the right type, but is not of the form that the field needs: a size, name, address, URI."),
    CodeInfo("S020", "Fields that contradict each other", "error",
             "Each field is right by itself, but together they cannot be meant."),
    CodeInfo("S030", "Name claimed twice", "error",
             "Two objects of one kind have the same name. It cannot be known which is meant, so both are refused and"
             " what runs is left as it is."),
    CodeInfo("S031", "MAC address claimed twice", "error",
             "Two network cards would have the same hardware address. All VMs that claim it are refused."),
    CodeInfo("S032", "Reference to nothing", "error", "The object that is named is not in the specs."),
    CodeInfo("S033", "Disk smaller than its image", "error", "A disk that starts as an image must hold all of it."
             " It is found by whatever opens the image, such as plan; validate opens none."),
    CodeInfo("S034", "No host can run the VM", "error",
             "No host has all of the VM's pools and networks, is among its placement.hosts and has the labels of its"
             " placement.nodeSelector."),
    CodeInfo("S035", "No host takes new VMs", "warning",
             "Hosts that could run the VM exist, but each of them is cordoned or in maintenance."),
    CodeInfo("S036", "A spread rule that cannot work", "warning",
             "The rule does not match the VM's own labels, or more VMs share the rule than hosts could run them."),
    CodeInfo("S037", "Two objects for one thing", "error",
             "Two hosts have the same URI, or two pools the same directory, or two networks the same addresses on one"
             " host: what one does, the other would undo."),
    CodeInfo("S038", "Image file not found", "warning",
             "The file is not on this machine, or may not be read, so its size was not compared with the disks'. It is"
             " needed when a VM is made; VMs that are made already go on as they are. It is found by whatever opens the"
             " image, such as plan; validate opens none."),
    CodeInfo("S039", "Image refused", "error",
             "The image's file was inspected and is not what the spec says, or not safe. It is found by whatever opens"
             " the image, such as plan; validate opens none."),
    CodeInfo("S040", "Secret written into a spec", "warning",
             "A password or private key stands in the specs, for everyone who can read the repository. Use password"
             " hashes and SSH public keys in cloud-init, and `secrets` references for fence agents."),
    CodeInfo("S041", "cloud-init will ignore it", "warning",
             "User data must begin with #cloud-config, #! or another header that cloud-init knows."),
    CodeInfo("S042", "Connection without encryption", "warning",
             "qemu+tcp sends everything in the clear and trusts whoever connects. Use qemu+ssh or qemu+tls."),
    CodeInfo("S043", "Pool cannot hold this disk", "error",
             "A logical pool holds raw disks only; an overlay needs a pool of files."),
    CodeInfo("S044", "Depends on an object that has errors", "error",
             "Right by itself, but unusable until the object that it names is mended."),
    CodeInfo("S045", "Fence device of two hosts", "error",
             "Two hosts name the same plug of the same device, so that cutting off one would cut off the other, and a"
             " dead host could be told from a living one no more. All hosts that name it are refused."),
    CodeInfo("S046", "Parameter that no fence agent is given", "error",
             "Agents can be made to run programs, write files, switch power on again or take a plug that is not there"
             " for one that is off. Such parameters are refused, and so are values that an agent could take for more"
             " than a value. A secret comes from one file below the credentials directory, or from one variable."),
    CodeInfo("S047", "Too few hosts for the failures to bear", "warning",
             "The controller's configuration asks that hostFailuresToTolerate hosts may fail at once. This HA VM"
             " may run on so few hosts that they could all be among them. Whether there is room enough is told by the"
             " plan, which knows the hosts."),
    CodeInfo("S048", "Half of a host's power", "error",
             "Levels are alternatives: the first device that says off is believed. Two outlets as two levels would"
             " make a host with two power supplies pass for dead, and its VMs run twice, when one feed is off."
             " Outlets of one device go into one level, where all of them must be off; else use the host's BMC."),
    CodeInfo("S049", "GUID of no BMC, or of two hosts'", "error",
             "The annotation reconciler/bmc-guid names the GUID that this host's own BMC tells. Two hosts that name the"
             " same one would be cut off together; a text that is no GUID is compared with nothing."),
    CodeInfo("S050", "Fence agent that is not allowed", "warning",
             "Only agents in ha.fenceAgents of the controller's configuration are run. The host would not be fenced by"
             " this one. Use another agent, or add it there; that list replaces the built-in one, so name all."),
    CodeInfo("S051", "Annotation that is not understood", "error",
             "Annotations are free text, but those that begin with reconciler/ are read:"
             ' reconciler/paused: "true" holds all changes of the object ("false" is as if it were not there),'
             " reconciler/prune: disabled protects it from removal (enabled is the default), reconciler/bmc-guid tells"
             " the GUID of a Host's BMC. Any other would hold and protect nothing, without a word."),
    CodeInfo("S052", "Placeholder that YAML takes apart", "error",
             "`${secret:NAME}` in cloud-config or a network configuration becomes a value, quoted by the rules of YAML."
             " In braces and brackets YAML reads it as something else; write it in quotes there. A text that is no YAML"
             " has no places for values."),
    CodeInfo("S053", "Secret written into a spec, which the policy refuses", "error",
             "As S040, where the controller's configuration has plainSecrets: refuse. What was there before stands."),
)  # fmt: skip

CODES: Final[Mapping[str, CodeInfo]] = MappingProxyType({info.code: info for info in _TABLE})
"""Every code, in order."""
