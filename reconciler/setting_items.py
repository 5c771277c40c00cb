"""Keys of what the configuration lists: `windows.start`, `notifications.url.file`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel


def keys_of_items(options: type[BaseModel]) -> Mapping[str, tuple[type[BaseModel], str]]:
    """Each such key, with the model that has it and what it is called there."""
    return {
        key: found
        for name, field in options.model_fields.items()
        if get_origin(field.annotation) is tuple
        for model in _models(field.annotation)
        for key, found in _within(model, field.alias or name)
    }


def _within(model: type[BaseModel], before: str) -> Iterator[tuple[str, tuple[type[BaseModel], str]]]:
    for name, field in model.model_fields.items():
        alias = field.alias or name
        yield f"{before}.{alias}", (model, alias)
        for inner in _models(field.annotation):
            yield from _within(inner, f"{before}.{alias}")


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Models that a value of that type may be, or hold as items."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)
