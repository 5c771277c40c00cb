"""Taking out of a host all that tests have put in."""

import contextlib
import shutil
from pathlib import Path


def clear_libvirt(uri: str) -> None:
    """Remove all domains, networks, pools and secrets; volumes are files, left to `empty`."""
    import libvirt

    removal = (
        libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
        | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
        | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
        | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
    )
    with contextlib.closing(libvirt.open(uri)) as connection:
        for domain in connection.listAllDomains():
            persistent = domain.isPersistent()
            if domain.isActive():
                domain.destroy()
            if persistent:
                domain.undefineFlags(removal)
        for thing in (*connection.listAllNetworks(), *connection.listAllStoragePools()):
            persistent = thing.isPersistent()
            if thing.isActive():
                thing.destroy()
            if persistent:
                thing.undefine()
        for secret in connection.listAllSecrets():
            secret.undefine()


def empty(folder: Path) -> None:
    """Remove what is in a folder, not the folder: it may be mounted on a host."""
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
