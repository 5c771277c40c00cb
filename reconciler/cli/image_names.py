"""Versions by the names that people write, out of the ledger and the specs: no host is asked."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from reconciler.cli.command_line import CommandLine
from reconciler.cli.outside import Outside
from reconciler.clock import SystemClock
from reconciler.config import Settings
from reconciler.errors import UsageError
from reconciler.model.inventory import Inventory
from reconciler.model.ledger import LedgerView
from reconciler.model.version import ImageVersion, parse_version_name
from reconciler.planner.world import World, make_world


class Known(Struct, frozen=True):
    """All versions on record, and what the specs need of them."""

    world: World

    @property
    def ledger(self) -> LedgerView:
        return self.world.ledger

    @property
    def versions(self) -> Mapping[str, tuple[ImageVersion, ...]]:
        return self.world.ledger.versions

    @property
    def captured(self) -> frozenset[str]:
        """Images that have versions, or are to have some."""
        declared = {name for name, image in self.world.desired.images.items() if image.spec.is_captured}
        return frozenset(declared | self.versions.keys())

    def image(self, text: str) -> str:
        """The captured image that is meant; raises UsageError."""
        name = text.removeprefix("Image/")
        if name in self.captured:
            return name
        if name in self.world.desired.images:
            raise UsageError(
                f"Image/{name} is not captured from a VM, so it has no versions", hint=f"captured: {self._listed()}"
            )
        raise UsageError(f"there is no captured Image/{name}", hint=f"captured: {self._listed()}")

    def version(self, text: str, commands: CommandLine) -> ImageVersion:
        """The version that is meant by `NAME@2026-11-22T02:00Z` or `NAME@latest`; raises UsageError."""
        try:
            name = parse_version_name(text.removeprefix("Image/"))
        except ValueError as error:
            raise UsageError(str(error), hint=commands.call("image", "versions")) from error
        versions = self.versions.get(self.image(name.image), ())
        found = [each for each in versions if name.stamp in (None, each.stamp)]
        if not found:
            have = "has none yet" if not versions else f"has {len(versions)}, the newest {versions[-1].name}"
            raise UsageError(
                f"there is no version {text}: Image/{name.image} {have}",
                hint=commands.call("image", "versions", name.image),
            )
        return found[-1]

    def _listed(self) -> str:
        return ", ".join(sorted(self.captured)) or "none"


def known_versions(doors: Outside, settings: Settings) -> Known:
    """What is on record now."""
    desired = doors.load_specs(settings.specs_directory(), settings.fleet)
    with doors.read_ledger(settings) as book:
        view = book.view()
    return Known(make_world(desired, Inventory(), view, settings.policy, SystemClock().now()))


def chain_of(version: ImageVersion, versions: tuple[ImageVersion, ...]) -> tuple[ImageVersion, ...]:
    """The version and those that it rests on, down to the full one; raises UsageError where one is missing."""
    by_stamp = {each.stamp: each for each in versions}
    chain = [version]
    while chain[-1].parent is not None:
        parent = by_stamp.get(chain[-1].parent)
        if parent is None or parent in chain:
            raise UsageError(f"{version.name} rests on a version that is gone", hint="use another version")
        chain.append(parent)
    return tuple(chain)
