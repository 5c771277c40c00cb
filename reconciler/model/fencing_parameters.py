"""What specs may tell a fence agent: agents can do far more than cut power, such as run programs and write files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from reconciler.model.host import FencingLevel
from reconciler.model.secret_ref import SecretRef, fault_of

# Older spellings that agents still take, and the names that they mean.
_ALIASES: Final[Mapping[str, str]] = {
    "cmd_prompt": "command_prompt",
    "debug": "debug_file",
    "domain": "plug",
    "ipaddr": "ip",
    "login": "username",
    "option": "action",
    "passwd": "password",
    "passwd_script": "password_script",
    "port": "plug",
    "secure": "ssh",
    "sudo": "use_sudo",
}
REFUSED_PARAMETERS: Final[Mapping[str, str]] = {
    "action": "the controller alone says what is done",
    "method": "power is always cut and its absence confirmed; a power cycle would bring the host back",
    "missing_as_off": "a plug that does not exist would count as proof that the host is dead",
    "command_prompt": "with a wrong prompt, agents take a host that runs for one that is off",
    "help": "the agent would do nothing, and call that a success",
    "version": "the agent would do nothing, and call that a success",
    "debug_file": "it has all that is said to the device, passwords included, written to any file",
    "verbose": "passwords would stand in what it prints",
    "verbose_level": "passwords would stand in what it prints",
    "password_script": "it runs a program; name the secret in `secrets`",
    "ssh_options": "they can run programs and switch off the check of the host key",
    "exec": "it runs a program",
    "use_sudo": "agents have the rights of the controller's user, and no more",
    "delay": "it makes the outage longer; there is no second controller that could fence at the same time",
    "separator": "lists of plugs could not be read",
    "plug_separator": "it could not be known which plugs are meant",
    "port_as_ip": "it hides which device is meant; write ip",
    "nodename": "it is Pacemaker's; write plug",
}
"""Parameters that no spec may set, for any agent, each with the reason."""
_REFUSED_FORMS: Final = (
    (re.compile(r"_path$"), "it runs another program than the installed one"),
    (re.compile(r"_script$"), "it runs a program; name the secret in `secrets`"),
    (re.compile(r"^(pcmk|pcs|crm)_"), "it is Pacemaker's; leave it out"),
)
_FILE: Final = re.compile(r"_file$")
_SECRET: Final = re.compile(r"pass|secret|token|community|hexadecimal_kg", re.IGNORECASE)
_NAME: Final = re.compile(r"[a-z][a-z0-9_.]*")
# Agents build command lines for ipmitool, ssh and snmpget out of values, most of them unquoted.
_VALUE: Final = re.compile(r"(?!-)[A-Za-z0-9_.:/@,+=%\[\]-]*")


def canonical_name(name: str) -> str:
    """The name by which agents know the parameter now: `plug` for `port`."""
    plain = name.lower().replace("-", "_")
    return _ALIASES.get(plain, plain)


def canonical_parameters(level: FencingLevel) -> dict[str, str]:
    """The level's parameters by canonical name; secrets are not among them."""
    return {canonical_name(name): value for name, value in level.parameters.items()}


def is_secret(name: str) -> bool:
    """Whether the value of the parameter is nobody's business, by its name."""
    return _SECRET.search(name) is not None


def is_file(name: str) -> bool:
    """Whether the parameter takes the path of a file, such as a private key."""
    return _FILE.search(canonical_name(name)) is not None


def refusals(level: FencingLevel) -> Iterator[tuple[str, str, str]]:
    """Everything of the level that is not passed on: `parameters` or `secrets`, the name, and why; never a value."""
    seen: dict[str, str] = {}
    for section, name in [
        *(("parameters", key) for key in level.parameters),
        *(("secrets", key) for key in level.secrets),
    ]:
        reason = _why_not(canonical_name(name)) or _why_not_here(level, section, name)
        first = seen.setdefault(canonical_name(name), name)
        if reason is None and first != name:
            reason = f"it means the same as {first}; leave one of them out"
        elif reason is None and section == "secrets" and name in level.parameters:
            reason = "it stands in `parameters` too; leave one of them out"
        if reason is not None:
            yield section, name, reason


def _why_not(name: str) -> str | None:
    if not _NAME.fullmatch(name):
        return "it is no name of a parameter; use lowercase letters, digits and _"
    if name in REFUSED_PARAMETERS:
        return REFUSED_PARAMETERS[name]
    return next((reason for form, reason in _REFUSED_FORMS if form.search(name)), None)


def _why_not_here(level: FencingLevel, section: str, name: str) -> str | None:
    if section == "secrets":
        return _why_no_secret(level.secrets[name], name)
    if is_file(name):
        return f"only files of the credentials directory are used; write secrets: {{{name}: {{file: NAME}}}}"
    if not _VALUE.fullmatch(level.parameters[name]):
        allowed = "letters, digits and _.:/@,+=%[]-, not beginning with -"
        return f"an agent could take the value for more than a value; use {allowed}, or write it as a secret"
    return None


def _why_no_secret(reference: SecretRef, name: str) -> str | None:
    fault = fault_of(reference)
    if fault is None and is_file(name) and reference.file is None:
        return "the agent is given a path: name a file of the credentials directory, {file: NAME}"
    return fault
