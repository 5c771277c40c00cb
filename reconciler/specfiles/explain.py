"""What a field means: `explain("VirtualMachine.spec.memory")`."""

from __future__ import annotations

import re
import textwrap
from typing import Final

from msgspec import Struct

from reconciler.errors import UsageError
from reconciler.model.resource import KINDS
from reconciler.specfiles.field_words import default_words, example, type_words, unit
from reconciler.specfiles.json_schema import Schema, fields_of, property_at
from reconciler.specfiles.messages import closest, did_you_mean
from reconciler.specfiles.problem_codes import CODES, CodeInfo
from reconciler.specfiles.reasons import REASONS, ReasonInfo

_INDEX: Final = re.compile(r"\[\d*\]")
_WIDTH: Final = 100


class Meaning(Struct, frozen=True):
    """What a path means; `kind` and `field` are empty for what is no field."""

    text: str
    kind: str = ""
    field: str = ""


def explain(path: str) -> str:
    """As `look_up`, the text alone."""
    return look_up(path).text


def look_up(path: str) -> Meaning:
    """The field's type, unit, default, meaning and example, or the fields of a mapping; ends with a line end.

    `path` is a kind, then names joined by dots; `disks.size` and `disks[0].size` mean the same. It may also be the
    code of a problem, such as `S014`, or why a spec is not met, such as `fencing-failed`.
    Raises UsageError, with what was probably meant, if there is no such field.
    """
    code = CODES.get(path.strip("[]").upper())
    if code is not None:
        return Meaning(_code_text(code))
    reason = REASONS.get(path.strip().lower().replace(" ", "-"))
    if reason is not None:
        return Meaning(_reason_text(reason))
    kind, *names = [step for step in _INDEX.sub("", path).split(".") if step] or [""]
    kind = _kind(kind)
    for depth in range(len(names)):
        if property_at(kind, tuple(names[: depth + 1])) is None:
            raise _no_such_field(kind, names[:depth], names[depth])
    field = property_at(kind, tuple(names)) or {}
    owner = property_at(kind, tuple(names[:-1])) or {}
    _, required = fields_of(kind, owner).get(names[-1], (field, False)) if names else (field, False)
    text = "\n".join(_lines(".".join([kind, *names]), field, kind, required=required)).rstrip() + "\n"
    return Meaning(text, kind, ".".join(names))


def overview() -> str:
    """What `explain` knows: the kinds, the codes of problems and the reasons of specs that are not met."""
    groups = (
        ("kinds", (*KINDS,), "explain VirtualMachine, explain VirtualMachine.spec.disks"),
        ("codes", (f"{min(CODES)} to {max(CODES)}",), f"explain {min(CODES)}"),
        ("reasons", (*REASONS,), "explain no-host-fits"),
        ("config", ("keys of the configuration",), "explain migration, explain migration.fallback"),
    )
    lines = [
        textwrap.fill(
            f"{', '.join(words)}  ({example})", _WIDTH, initial_indent=f"{label:<9}", subsequent_indent=" " * 9
        )
        for label, words, example in groups
    ]
    return "\n".join(lines) + "\n"


def _code_text(info: CodeInfo) -> str:
    body = textwrap.fill(info.explanation, _WIDTH, initial_indent="  ", subsequent_indent="  ")
    return f"{info.code}  {info.title}  ({info.severity})\n\n{body}\n"


def _reason_text(info: ReasonInfo) -> str:
    facts = (("means", info.means), ("remedy", info.remedy))
    lines = [
        textwrap.fill(text, _WIDTH, initial_indent=f"  {label:<8}", subsequent_indent=" " * 10) for label, text in facts
    ]
    return "\n".join([f"{info.reason}  (why a spec is not met)", "", *lines]) + "\n"


def _kind(name: str) -> str:
    by_lower = {kind.lower(): kind for kind in KINDS} | {"vm": "VirtualMachine", "pool": "StoragePool"}
    kind = by_lower.get(name.lower()) or by_lower.get(name.lower().removesuffix("s"))
    if kind is None:
        near = closest(name, (*KINDS, *REASONS))
        what = "reason" if near in REASONS else "kind"
        ending = did_you_mean(near, f"the kinds are {', '.join(KINDS)}")
        raise UsageError(f"there is no {what} {name!r}{ending}", hint=f"reconciler explain {near or KINDS[-1]}")
    return kind


def _no_such_field(kind: str, names: list[str], missing: str) -> UsageError:
    owner = ".".join([kind, *names])
    known = fields_of(kind, property_at(kind, tuple(names)) or {})
    suggestion = closest(missing, known)
    if not names and missing in fields_of(kind, property_at(kind, ("spec",)) or {}):
        suggestion = f"spec.{missing}"
    listed = f"its fields are {', '.join(known)}" if known else "it has no fields of its own"
    hint = f"reconciler explain {owner}{f'.{suggestion}' if suggestion else ''}"
    return UsageError(f"{owner} has no field {missing!r}{did_you_mean(suggestion, listed)}", hint=hint)


def _lines(name: str, field: Schema, kind: str, *, required: bool) -> list[str]:
    lines = [f"{name}  {type_words(field)}{'  (required)' if required else ''}", ""]
    if "description" in field:
        lines += [*textwrap.wrap(field["description"], _WIDTH, initial_indent="  ", subsequent_indent="  "), ""]
    facts = {
        "unit": unit(field),
        "default": default_words(field),
        "example": _sample(name.rpartition(".")[2], field),
    }
    lines += [f"  {label:<9}{value}" for label, value in facts.items() if value]
    return lines + _fields(fields_of(kind, field))


def _sample(name: str, field: Schema) -> str:
    value = example(name, field)
    return f"{name}: {value}" if value else ""


def _fields(fields: dict[str, tuple[Schema, bool]]) -> list[str]:
    if not fields:
        return []
    width = max(len(name) for name in fields)
    indent = " " * (width + 6)
    lines = ["  fields, * required:"]
    for name, (field, required) in fields.items():
        default = default_words(field)
        words = type_words(field) + (f" (default {default})" if default else "")
        lines.append(f"  {'*' if required else ' '} {name:<{width}}  {words}")
        lines += textwrap.wrap(field.get("description", ""), _WIDTH, initial_indent=indent, subsequent_indent=indent)
    return lines
