"""Everything that a pass was decided from, to bytes and back without loss.

    structs ── as they are ──▶ MessagePack ──▶ gzip
    specs (pydantic) ── their validated values ──▶ as maps by field name

A spec is not validated again on the way back: sizes and durations are kept as numbers, not as people write them.
"""

from __future__ import annotations

import gzip
import hashlib
from typing import Any, Final

import msgspec
from msgspec import Struct
from pydantic import BaseModel

from reconciler import __version__
from reconciler.errors import UsageError
from reconciler.model.desired_state import DesiredState
from reconciler.model.inventory import Inventory
from reconciler.model.ledger import LedgerView
from reconciler.model.next_command import NextCommand
from reconciler.model.plan import Plan
from reconciler.model.policy import Policy

FORMAT: Final = 1
"""Raised with every change of the values below that an older reader, or a newer one, would misunderstand."""
_COMPRESSION: Final = 1
"""A fifth larger than the best, and ten times as fast."""


class _Header(Struct, frozen=True):
    """What every format has, so that the file of another one can be refused by name."""

    format: int
    program: str


class PassInput(Struct, frozen=True):
    """What one pass was decided from, and what it decided. `at` is wall time in seconds."""

    pass_id: str
    desired: DesiredState
    inventory: Inventory
    ledger: LedgerView
    policy: Policy
    at: float
    fingerprint: str
    """Of the plan's actions."""
    digest: str
    """Of the whole plan: reasons, summary and all."""
    actions: tuple[str, ...]
    """Ids, in order."""
    unmet: tuple[tuple[str, str], ...]
    """Object and reason, in order."""
    format: int = FORMAT
    program: str = __version__
    """Version that decided it."""


def pass_input(
    pass_id: str, desired: DesiredState, inventory: Inventory, ledger: LedgerView, policy: Policy, plan: Plan, at: float
) -> PassInput:
    """The input of the pass that made `plan` at `at`."""
    return PassInput(
        pass_id=pass_id,
        desired=desired,
        inventory=inventory,
        ledger=ledger,
        policy=policy,
        at=at,
        fingerprint=plan.fingerprint,
        digest=plan_digest(plan),
        actions=tuple(action.id for action in plan.actions),
        unmet=tuple((str(unmet.target), unmet.reason) for unmet in plan.unmet),
    )


def plan_digest(plan: Plan) -> str:
    """Hash of every value of a plan, secrets included: equal plans, byte for byte, have the same one."""
    return hashlib.blake2b(msgspec.msgpack.encode(plan, enc_hook=_values), digest_size=16).hexdigest()


def encode(kept: PassInput) -> bytes:
    """Compressed; it holds all that the specs hold, first-boot secrets included."""
    return gzip.compress(msgspec.msgpack.encode(kept, enc_hook=_values), compresslevel=_COMPRESSION, mtime=0)


def decode(data: bytes, name: str) -> PassInput:
    """What `encode` was given; raises UsageError, naming the file `name`, for another format or a damaged file."""
    try:
        plain = gzip.decompress(data)
        header = msgspec.msgpack.decode(plain, type=_Header)
    except (OSError, EOFError, ValueError) as error:
        raise UsageError(f"{name} is not the input of a pass, or is damaged: {error}", hint=_OTHER) from error
    if header.format != FORMAT:
        raise UsageError(
            f"{name} was written by reconciler {header.program} in format {header.format};"
            f" this is {__version__}, which reads format {FORMAT}",
            hint=f"replay it with reconciler {header.program}",
        )
    try:
        return msgspec.msgpack.decode(plain, type=PassInput, dec_hook=_rebuilt)
    except msgspec.ValidationError as error:
        raise UsageError(
            f"{name} was written by reconciler {header.program} and does not fit {__version__}: {error}",
            hint=f"replay it with reconciler {header.program}",
        ) from error


_OTHER: Final = "name a pass of the state directory, or a file that was copied from its folder passes"


def _values(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.__dict__
    if isinstance(value, NextCommand):
        return str(value)  # it comes back as the text that it is
    raise NotImplementedError(f"{type(value).__name__} can't be kept")


def _rebuilt(kind: type, value: Any) -> object:
    if not issubclass(kind, BaseModel):
        raise NotImplementedError(f"{kind.__name__} can't be kept")
    fields = kind.model_fields
    return kind.model_construct(
        **{
            name: msgspec.convert(item, fields[name].annotation, dec_hook=_rebuilt)
            for name, item in value.items()
            if name in fields
        }
    )
