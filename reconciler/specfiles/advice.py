"""Warnings about one object by itself: secrets written down, connections in the clear, seeds that do nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from reconciler.credentials.placeholders import Misplaced, check, is_cloud_config
from reconciler.model.host import Host
from reconciler.model.policy import PlainSecrets
from reconciler.model.resource import Resource
from reconciler.model.virtual_machine import VirtualMachine
from reconciler.specfiles.places import Finding

_USER_DATA: Final = ("spec", "cloudInit", "userData")
_NETWORK: Final = ("spec", "cloudInit", "networkConfig")
_PRIVATE_KEY: Final = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")
# A hash as crypt(3) writes it begins with $ or is locked with ! or *; anything else is the password itself.
_PASSWORD: Final = re.compile(
    r"""^\s*(?:-\s*)?["']?(?:plain_text_passwd|password|passwd)["']?\s*:\s*["']?(?![$!*|>]|["']?\s*$)\S""",
    re.MULTILINE,
)
_USER_LIST: Final = re.compile(r"^\s*chpasswd\s*:", re.MULTILINE)
_USER_LIST_LINE: Final = re.compile(r"^\s*(?:-\s*)?[a-z_][a-z0-9_-]*:(?![$!*\s])(?!R(?:ANDOM)?$)\S+\s*$", re.MULTILINE)
_HEADERS: Final = (
    "#cloud-config", "#!", "#include", "#cloud-boothook", "#part-handler", "## template: jinja",
    "Content-Type:", "MIME-Version:",
)  # fmt: skip
_SECRET_PARAMETERS: Final = re.compile(r"pass|secret|token", re.IGNORECASE)


def refusals(resource: Resource, plain_secrets: PlainSecrets) -> list[Finding]:
    """What is right by its form and can't be used; plain passwords and keys too, where the policy refuses them."""
    plain = (each for each in advice(resource) if each.code == "S040") if plain_secrets == "refuse" else ()
    cloud_init = resource.spec.cloud_init if isinstance(resource, VirtualMachine) else None
    texts = [] if cloud_init is None else [(_USER_DATA, cloud_init.user_data), (_NETWORK, cloud_init.network_config)]
    misplaced = [_misplaced(path, text) for path, text in texts if text is not None and _is_yaml(path, text)]
    return [*(Finding("S053", each.path, each.message, on_key=True) for each in plain), *filter(None, misplaced)]


def _is_yaml(path: tuple[str, ...], text: str) -> bool:
    return path == _NETWORK or is_cloud_config(text)


def _misplaced(path: tuple[str, ...], text: str) -> Finding | None:
    try:
        check(text)
    except Misplaced as error:
        return Finding("S052", path, f"its {error.message}", on_key=True)
    return None


def advice(resource: Resource) -> Iterator[Finding]:
    """Yield what is allowed, but hardly what was meant."""
    if isinstance(resource, VirtualMachine):
        if resource.spec.cloud_init is not None:
            yield from _user_data(resource.spec.cloud_init.user_data)
    elif isinstance(resource, Host):
        yield from _host(resource)


def _user_data(text: str) -> Iterator[Finding]:
    if _PRIVATE_KEY.search(text):
        message = (
            "holds a private key; let the guest make its own, or write ${secret:NAME} there and secrets: {NAME: {file:"
            " NAME}} beside it"
        )
        yield Finding("S040", _USER_DATA, message, on_key=True)
    if _PASSWORD.search(text) or (_USER_LIST.search(text) and _USER_LIST_LINE.search(text)):
        message = (
            "holds a plain password; write ${secret:NAME} there and secrets: {NAME: {file: NAME}} beside it, or its"
            " hash (mkpasswd -m sha-512), or use ssh_authorized_keys"
        )
        yield Finding("S040", _USER_DATA, message, on_key=True)
    if not text.startswith(_HEADERS):
        message = "cloud-init ignores user data without a header; begin it with #cloud-config or #!"
        yield Finding("S041", _USER_DATA, message, on_key=True)


def _host(host: Host) -> Iterator[Finding]:
    if host.spec.uri.startswith("qemu+tcp:"):
        message = "qemu+tcp is neither encrypted nor authenticated; use qemu+ssh or qemu+tls"
        yield Finding("S042", ("spec", "uri"), message)
    for index, level in enumerate(host.spec.fencing):
        for name in level.parameters:
            if _SECRET_PARAMETERS.search(name) and not name.endswith("_script"):
                path = ("spec", "fencing", index, "parameters", name)
                yield Finding(
                    "S040", path, f"a secret in a spec; write secrets: {{{name}: {{file: NAME}}}}", on_key=True
                )
