"""The fixtures that tests on the lab share; a conftest imports them from here.

Every pytest process (each xdist worker is one) has one lab, whichever folders its tests come from.
"""

import os
import shutil

import pytest

from tests.lab import bmc
from tests.lab.hosts import Lab

_SHARED_LAB = pytest.StashKey[Lab]()
_PROGRAMS = (
    "ip",
    "nsenter",
    "unshare",
    "setpriv",
    "tini",
    "libvirtd",
    "virtlockd",
    "virsh",
    "qemu-system-x86_64",
    "dnsmasq",
)


def why_no_lab() -> str | None:
    """What this machine lacks for a lab, in words for a skip; None where it has everything."""
    if os.geteuid() != 0:
        return "the lab needs root: it makes namespaces and starts libvirtd"
    missing = [program for program in _PROGRAMS if shutil.which(program) is None]
    return f"the lab needs programs that are not installed: {', '.join(missing)}" if missing else None


@pytest.fixture(scope="session")
def lab(request: pytest.FixtureRequest) -> Lab:
    """Three running hosts for the whole session, in whatever state the last test left them."""
    if reason := why_no_lab():
        pytest.skip(reason)
    stash = request.config.stash
    if _SHARED_LAB not in stash:
        stash[_SHARED_LAB] = Lab.up(3)
        request.config.add_cleanup(stash[_SHARED_LAB].down)
    return stash[_SHARED_LAB]


@pytest.fixture
def fresh_lab(lab: Lab) -> Lab:
    """The session's hosts, on, plugged in, awake and empty; the shared folder empty too."""
    lab.reset()
    return lab


def with_bmcs(lab: Lab) -> Lab:
    """The lab healed and emptied, every host with a BMC that answers and does what it says."""
    if missing := [program for program in bmc.PROGRAMS if shutil.which(program) is None]:
        pytest.skip(f"BMCs need programs that are not installed: {', '.join(missing)}")
    lab.reset()
    lab.start_bmcs()
    return lab


@pytest.fixture
def fenced_lab(lab: Lab) -> Lab:
    """The session's hosts as `fresh_lab` has them, with BMCs."""
    return with_bmcs(lab)
