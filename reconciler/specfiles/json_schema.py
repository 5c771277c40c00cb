"""JSON Schema (2020-12) of the specs, described by the docstrings below the models' fields.

The docstrings are read from the sources when asked for: pydantic can do it at import, which costs every start more
than the whole of a small plan.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import textwrap
from collections.abc import Iterator, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, Final

from pydantic import BaseModel

from reconciler.model.approval import Approval
from reconciler.model.host import Host
from reconciler.model.image import Image
from reconciler.model.network import Network
from reconciler.model.quantities import format_size
from reconciler.model.resource import API_VERSION, KINDS, Kind, Model, Resource
from reconciler.model.storage_pool import StoragePool
from reconciler.model.virtual_machine import VirtualMachine
from reconciler.specfiles.field_examples import EXAMPLES, PATTERNS

Schema = dict[str, Any]

MODELS: Final[Mapping[str, type[Resource]]] = MappingProxyType(
    {
        "Host": Host,
        "StoragePool": StoragePool,
        "Network": Network,
        "Image": Image,
        "VirtualMachine": VirtualMachine,
        "Approval": Approval,
    }
)
"""The model of each kind."""

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_SIZE_PATTERN: Final = "KiB|MiB"


def schema(kind: Kind | None = None) -> Schema:
    """The schema of one kind, or of a document of any kind (what editors are given)."""
    if kind is not None:
        return {"$schema": DIALECT, **_of_model(kind)}
    definitions: Schema = {}
    for name in KINDS:
        part = _of_model(name)
        definitions.update(part.pop("$defs"))
        definitions[name] = part
    return {
        "$schema": DIALECT,
        "title": "reconciler spec",
        "description": "One desired object of a fleet.",
        "type": ["object", "null"],
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "properties": {
            "apiVersion": {"const": API_VERSION, "description": "Version of this spec format."},
            "kind": {"enum": list(KINDS), "description": "What the object is."},
            "metadata": {"$ref": "#/$defs/Metadata"},
            "spec": {"type": "object", "description": "What is wanted."},
        },
        "allOf": [
            {
                "if": {"type": "object", "required": ["kind"], "properties": {"kind": {"const": name}}},
                "then": {"$ref": f"#/$defs/{name}"},
            }
            for name in KINDS
        ],
        "$defs": dict(sorted(definitions.items())),
    }


def property_at(kind: str, path: tuple[str | int, ...]) -> Schema | None:
    """The schema of the field at `path` below an object of `kind`, references resolved; None if there is none.

    Indexes of lists may be left out of the path.
    """
    if kind not in MODELS:
        return None
    root = _shared(kind)
    node = root
    for step in path:
        below = _step(resolved(node, root), step, root)
        if below is None:
            return None
        node = below
    return resolved(node, root)


def resolved(node: Schema, root: Schema) -> Schema:
    """The node with `$ref` followed and the `null` of an optional field left out; its own words win."""
    flat = {key: value for key, value in node.items() if key != "anyOf"}
    for choice in node.get("anyOf", ()):
        if choice.get("type") != "null":
            flat = {**choice, **flat}
    target = flat.pop("$ref", None)
    if target is not None:
        flat = {**root["$defs"][target.rpartition("/")[2]], **flat}
    return flat


def fields_of(kind: str, node: Schema) -> dict[str, tuple[Schema, bool]]:
    """The fields of a mapping, or of the items of a list, by name: each resolved, and whether it is required."""
    root = _shared(kind)
    if "items" in node:
        node = resolved(node["items"], root)
    required = node.get("required", ())
    return {name: (resolved(value, root), name in required) for name, value in node.get("properties", {}).items()}


def _step(node: Schema, step: str | int, root: Schema) -> Schema | None:
    items: Schema | None = node.get("items")
    if isinstance(step, int):
        return items
    if items is not None:
        node = resolved(items, root)
    if step in node.get("properties", {}):
        found: Schema = node["properties"][step]
        return found
    more = node.get("additionalProperties")
    return more if isinstance(more, dict) else None


@cache
def _shared(kind: str) -> Schema:
    """One schema per kind for looking things up; never changed."""
    part = _of_model(kind)
    return {**part, "$defs": {**part["$defs"], kind: part}}


def _of_model(kind: str) -> Schema:
    model = MODELS[kind]
    raw = model.model_json_schema()
    documented = {cls.__name__: field_docstrings(cls) for cls in _models_within(model)}
    for name, definition in raw["$defs"].items():
        _describe(definition, documented.get(name, {}))
    _describe(raw, documented[kind])
    raw["properties"]["kind"]["description"] = "What the object is."
    raw["properties"]["metadata"]["description"] = "Who the object is."
    raw["properties"]["spec"]["description"] = "What is wanted."
    return raw


def _describe(definition: Schema, docstrings: Mapping[str, str]) -> None:
    """Put descriptions in, make defaults readable, take noise out; `definition` is ours alone."""
    definition.pop("title", None)
    for name, field in definition.get("properties", {}).items():
        field.pop("title", None)
        if name in docstrings:
            field["description"] = docstrings[name]
        if "default" in field and field["default"] is None:
            del field["default"]
        _illustrate(name, next((choice for choice in field.get("anyOf", ()) if choice.get("type") != "null"), field))
        if isinstance(field.get("default"), int) and _SIZE_PATTERN in field.get("pattern", ""):
            field["default"] = format_size(field["default"])


def _illustrate(name: str, field: Schema) -> None:
    """Give a text field of that name its pattern and an example."""
    if field.get("type") != "string" or "enum" in field:
        return
    if name in EXAMPLES and name != "userData":
        field.setdefault("examples", [EXAMPLES[name].strip("'")])
    if name in PATTERNS:
        field.setdefault("pattern", PATTERNS[name])


def _models_within(model: type[BaseModel]) -> Iterator[type[Model]]:
    """The model and every model that its fields hold."""
    seen: set[type[Model]] = set()
    pending: list[Any] = [model]
    while pending:
        item = pending.pop()
        if isinstance(item, type) and issubclass(item, Model):
            if item not in seen:
                seen.add(item)
                yield item
                pending.extend(field.annotation for field in item.model_fields.values())
        else:
            pending.extend(getattr(item, "__args__", ()))


@cache
def field_docstrings(model: type[Model]) -> Mapping[str, str]:
    """The string below each field, by the field's name in YAML; inherited fields included."""
    found: dict[str, str] = {}
    for cls in reversed(model.__mro__):
        if not (issubclass(cls, Model) and cls is not Model):
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
        statements = body.body if isinstance(body, ast.ClassDef) else []
        for field, below in itertools.pairwise(statements):
            match (field, below):
                case (ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text)))):
                    found[_alias(model, name)] = inspect.cleandoc(text)
    return found


def _alias(model: type[Model], name: str) -> str:
    return model.model_fields[name].alias or name
