"""Reading as much of an object as is right, without the rules that compare its fields with each other."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Final, TypeVar, get_args, get_origin

from pydantic import ConfigDict, TypeAdapter, ValidationError

from reconciler.model.resource import Model
from reconciler.specfiles.places import Path

M = TypeVar("M", bound=Model)

_WRONG: Final = object()


def read_leniently(model: type[M], data: Mapping[str, Any]) -> tuple[M, list[Path]]:
    """An object of `model` with what is right in `data`, and the places that are wrong or missing.

    Optional fields that are wrong have their default, required ones a value that no right object has: an empty text,
    0, or the last of the possible words. Unknown fields are passed over.
    """
    unread: list[Path] = []
    built: M = _object(model, data, (), unread)
    return built, unread


def _object(model: type[Model], data: Mapping[str, Any], path: Path, unread: list[Path]) -> Any:
    values: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        key = field.alias or name
        value = _field(model, name, data[key], (*path, key), unread) if key in data else _WRONG
        if value is not _WRONG:
            values[name] = value
        elif field.is_required():
            if key not in data:
                unread.append((*path, key))
            values[name] = _empty(field.annotation)
        # else the default of the field, which model_construct puts in
    return model.model_construct(**values)


def _field(model: type[Model], name: str, data: Any, path: Path, unread: list[Path]) -> Any:
    """The value; `_WRONG`, its place noted, if it is not of the right type as a whole."""
    annotation = model.model_fields[name].annotation
    nested = _model_in(annotation)
    if nested is not None and isinstance(data, dict):
        return _object(nested, data, path, unread)
    if get_origin(annotation) is tuple and isinstance(data, list):
        item = get_args(annotation)[0]
        return tuple(_item(model, name, item, value, (*path, index), unread) for index, value in enumerate(data))
    if get_origin(annotation) is dict and isinstance(data, dict):
        return _entries(model, name, data, path, unread)
    return _checked(model, name, data, path, unread)


def _item(model: type[Model], name: str, annotation: Any, data: Any, path: Path, unread: list[Path]) -> Any:
    """One of a list; an empty one stands in for one that is wrong, so that the others keep their index."""
    nested = _model_in(annotation)
    if nested is not None and isinstance(data, dict):
        return _object(nested, data, path, unread)
    checked = _checked(model, name, [data], path, unread)
    return _empty(annotation) if checked is _WRONG else checked[0]


def _entries(model: type[Model], name: str, data: Mapping[str, Any], path: Path, unread: list[Path]) -> Any:
    checked = ((key, _checked(model, name, {key: value}, (*path, key), unread)) for key, value in data.items())
    return {key: entry[key] for key, entry in checked if entry is not _WRONG}


def _checked(model: type[Model], name: str, data: Any, path: Path, unread: list[Path]) -> Any:
    try:
        return _adapter(model, name).validate_python(data, by_alias=True, by_name=False)
    except ValidationError:
        unread.append(path)
        return _WRONG


def _empty(annotation: Any) -> Any:
    """What stands for a value that must be there and is not known."""
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    nested = _model_in(annotation)
    if nested is not None:
        return _object(nested, {}, (), [])
    words = get_args(annotation)
    if words:
        return words[-1]
    return 0 if annotation is int else ""


def _model_in(annotation: Any) -> type[Model] | None:
    """The model that a field of this type holds, also where it may be absent."""
    choices = get_args(annotation) or (annotation,)
    if get_origin(annotation) in (tuple, dict):
        return None
    return next((choice for choice in choices if isinstance(choice, type) and issubclass(choice, Model)), None)


@cache
def _adapter(model: type[Model], name: str) -> TypeAdapter[Any]:
    """What checks one field alone, as strictly as its model does."""
    field = model.model_fields[name]
    annotation: Any = field.annotation
    for constraint in field.metadata:
        annotation = Annotated[annotation, constraint]
    nested = isinstance(annotation, type) and issubclass(annotation, Model)
    return TypeAdapter(annotation, config=None if nested else ConfigDict(strict=True))
