"""YAML files of a scenario: read strictly, every mistake with its file, line and column."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct
from pydantic import BaseModel, ValidationError

from reconciler.errors import SpecError
from reconciler.specfiles.yaml_documents import YamlError, parse
from reconciler.specfiles.yaml_positions import PositionIndex, locate

M = TypeVar("M", bound=BaseModel)


class ScenarioError(SpecError):
    """A scenario that can't be played as it is written."""


class YamlFile(Struct, frozen=True):
    """The one document of a file; `data` is None where it is empty."""

    path: Path
    data: Any
    positions: PositionIndex

    def mistake(self, where: tuple[str | int, ...], message: str, hint: str = "") -> ScenarioError:
        """The error that names the place of the value at `where`."""
        return ScenarioError(f"{self.path}:{self.positions.position(0, where)}: {message}", hint=hint)

    def validated(self, model: type[M], data: Any, where: tuple[str | int, ...] = ()) -> M:
        """`data`, which stands at `where`, as a model; raises ScenarioError for the first mistake in it."""
        try:
            return model.model_validate(data)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            inner = tuple(part for part in first["loc"] if isinstance(part, str | int))
            known = ", ".join(field.alias or name for name, field in model.model_fields.items())
            message = first["msg"].removeprefix("Value error, ")
            raise self.mistake((*where, *inner), f"{'.'.join(map(str, inner))}: {message}", f"keys: {known}") from error


def read_yaml(path: Path) -> YamlFile:
    """Read a file of at most one document; raises ScenarioError."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ScenarioError(f"{path} can't be read: {error.strerror}") from error
    try:
        documents = [document.data for document in parse(content) if document.data is not None]
        positions = locate(content)
    except YamlError as error:
        raise ScenarioError(f"{path}:{error.line}:{error.column}: {error.message}", hint=error.hint) from error
    if len(documents) > 1:
        raise ScenarioError(f"{path} has several documents", hint="write one")
    return YamlFile(path, documents[0] if documents else None, positions)
