"""Warnings about one object by itself: secrets written down, connections in the clear, seeds that do nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from reconciler.model.host import Host
from reconciler.model.resource import Resource
from reconciler.model.virtual_machine import VirtualMachine
from reconciler.specfiles.places import Finding

_USER_DATA: Final = ("spec", "cloudInit", "userData")
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


def advice(resource: Resource) -> Iterator[Finding]:
    """Yield what is allowed, but hardly what was meant."""
    if isinstance(resource, VirtualMachine):
        if resource.spec.cloud_init is not None:
            yield from _user_data(resource.spec.cloud_init.user_data)
    elif isinstance(resource, Host):
        yield from _host(resource)


def _user_data(text: str) -> Iterator[Finding]:
    if _PRIVATE_KEY.search(text):
        message = "holds a private key; let the guest make its own, or bring it in after boot"
        yield Finding("S040", _USER_DATA, message, on_key=True)
    if _PASSWORD.search(text) or (_USER_LIST.search(text) and _USER_LIST_LINE.search(text)):
        message = "holds a plain password; write its hash (mkpasswd -m sha-512), or use ssh_authorized_keys"
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
