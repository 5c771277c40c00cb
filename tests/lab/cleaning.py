"""Taking out of a host all that tests have put in."""

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.lab.waiting import wait_for

_SECONDS = 30


def clear_libvirt(uri: str) -> None:
    """Remove all domains, networks, pools and secrets; volumes are files, left to `empty`."""
    import libvirt

    errors: list[libvirt.libvirtError] = []
    with contextlib.closing(libvirt.open(uri)) as connection:
        wait_for(lambda: _is_clear(connection, errors), _SECONDS, lambda: f"{uri} is not clear: {errors[-1:]}")


def _is_clear(connection: Any, errors: list[Any]) -> bool:
    """Remove what can be removed now; true where there was nothing left to remove."""
    import libvirt

    removal = (
        libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
        | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
        | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
        | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
    )
    steps: list[Callable[[], object]] = []
    for domain in connection.listAllDomains():
        steps += [domain.destroy] if domain.isActive() else []
        steps += [lambda domain=domain: domain.undefineFlags(removal)] if domain.isPersistent() else []
    for thing in (*connection.listAllNetworks(), *connection.listAllStoragePools()):
        steps += [thing.destroy] if thing.isActive() else []
        steps += [thing.undefine] if thing.isPersistent() else []
    steps += [secret.undefine for secret in connection.listAllSecrets()]
    for step in steps:
        try:
            step()
        except libvirt.libvirtError as error:  # it went by itself, or is busy: the next look will tell
            errors.append(error)
    return not steps


def empty(folder: Path) -> None:
    """Remove what is in a folder, not the folder: it may be mounted on a host."""
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
