"""Where VMs could be moved, as people and programs read it."""

from __future__ import annotations

import json

from msgspec.structs import replace

from reconciler.cli.status import status_text
from reconciler.cli.terminal import Terminal
from reconciler.model.status import HostVerdict, VmMobility
from tests.unit.cli.worlds import HEALTHY

_MOBILE = VmMobility("web-1", "h1", (HostVerdict("h2", ""), HostVerdict("h3", "cordoned")), ("data",))
_STUCK = VmMobility("gpu-1", "h1", (HostVerdict("h2", "hostdev"), HostVerdict("h3", "hostdev")), ())
_CROWDED = VmMobility("db-1", "h1", (HostVerdict("h2", "lacks 1GiB of memory"), HostVerdict("h3", "cordoned")), ())
_STATUS = replace(HEALTHY, mobility=(_CROWDED, _STUCK, _MOBILE))


def test_each_vm_has_a_line_and_equal_reasons_are_told_once() -> None:
    text = status_text(_STATUS, "table", [], "mobility", Terminal())

    assert text.splitlines() == [
        "NAME   HOST  MOVABLE  TO  COPIES  WHY NOT",
        "db-1   h1    no       -   -       h2 lacks 1GiB of memory · h3 cordoned",
        "gpu-1  h1    no       -   -       hostdev",
        "web-1  h1    yes      h2  data    h3 cordoned",
    ]


def test_programs_read_every_host_of_every_vm() -> None:
    told = json.loads(status_text(_STATUS, "json", [], "mobility", Terminal()))

    assert told[2] == {
        "name": "web-1",
        "host": "h1",
        "targets": ["h2"],
        "localDisks": ["data"],
        "hosts": [
            {"name": "h2", "movable": True, "reason": ""},
            {"name": "h3", "movable": False, "reason": "cordoned"},
        ],
    }
