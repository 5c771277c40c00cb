"""The hash of what was applied: the same for the same spec, wherever its values were read."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from reconciler.model.domain import DomainConfig
from tests.support.fleets import story, vm


def test_a_seed_that_is_kept_as_it_was_read_is_no_change() -> None:
    """What is read from a host equals a default without being the same object, and the hash must not tell."""
    fleet = story(vm(cloudInit={"userData": "#cloud-config\n", "onChange": "ignore"})).converged()
    written = msgspec.msgpack.encode(fleet.domain().config)
    read = msgspec.msgpack.decode(written, type=DomainConfig)

    changed = fleet.with_domain(replace(fleet.domain(), config=read, live=read))

    assert changed.plan().actions == ()
