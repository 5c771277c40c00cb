"""One file's documents to typed objects, each with its own problems."""

from __future__ import annotations

import os
from typing import Any, get_args

from msgspec import Struct
from pydantic import ValidationError

from reconciler.model.desired_state import SourceRef, SpecProblem
from reconciler.model.image import Image
from reconciler.model.resource import API_VERSION, KINDS, Kind, ObjectRef, Resource
from reconciler.specfiles.advice import advice
from reconciler.specfiles.json_schema import MODELS
from reconciler.specfiles.messages import closest, did_you_mean, finding_of, shown
from reconciler.specfiles.places import Finding, Text
from reconciler.specfiles.yaml_documents import Document, parse
from reconciler.specfiles.yaml_lines import first_lines
from reconciler.specfiles.yaml_text import YamlError


class SpecObject(Struct, frozen=True):
    """One object of a file; `resource` is None where it has errors, `ref` where not even its name could be read."""

    text: Text
    ref: ObjectRef | None
    document: int
    where: SourceRef
    resource: Resource | None
    problems: tuple[SpecProblem, ...] = ()


class SpecFile(Struct, frozen=True):
    """What one file said."""

    text: Text
    objects: tuple[SpecObject, ...] = ()
    broken: SpecProblem | None = None
    """Why no object could be read from it, though it may define some."""


def read_objects(text: Text, folder: str) -> SpecFile:
    """Parse and validate one file; nothing is raised for what is wrong with it.

    `folder` is the absolute directory of the file: relative image paths start there.
    """
    try:
        documents = parse(text.content)
    except YamlError as error:
        return SpecFile(text, (), text.syntax_problem(error))
    lines = first_lines(text.content, documents)
    objects = tuple(
        _read_object(text, document, line, folder)
        for document, line in zip(documents, lines, strict=True)
        if document.data is not None
    )
    return SpecFile(text, objects)


def _read_object(text: Text, document: Document, line: int, folder: str) -> SpecObject:
    where = SourceRef(text.file, line)
    data = document.data
    if isinstance(data, dict) and data.get("apiVersion") == API_VERSION:
        model = MODELS.get(data["kind"]) if isinstance(data.get("kind"), str) else None
        if model is not None:
            try:
                # By alias only: a spec has one spelling of each field, not two.
                resource = model.model_validate(data, by_alias=True, by_name=False)
            except ValidationError as error:
                return _invalid(text, document, where, _findings(data["kind"], error))
            ref = ObjectRef(data["kind"], resource.metadata.name)
            warnings = tuple(text.problem(document.index, str(ref), finding) for finding in advice(resource))
            if isinstance(resource, Image):
                resource = with_absolute_path(resource, folder)
            return SpecObject(text, ref, document.index, where, resource, warnings)
    return _invalid(text, document, where, [_not_an_object(data)])


def _invalid(text: Text, document: Document, where: SourceRef, findings: list[Finding]) -> SpecObject:
    ref = _ref(document.data)
    target = str(ref) if ref else _kind(document.data)
    problems = tuple(text.problem(document.index, target, finding) for finding in findings)
    return SpecObject(text, ref, document.index, where, None, problems)


def _findings(kind: str, error: ValidationError) -> list[Finding]:
    """All findings; a field that is missing because its name was mistyped is said once, where it is mistyped."""
    found = [finding_of(kind, details) for details in error.errors(include_url=False)]
    meant = {(*finding.path[:-1], finding.suggestion) for finding in found if finding.code == "S014"}
    return [finding for finding in found if finding.code != "S015" or finding.path not in meant]


def with_absolute_path(image: Image, folder: str) -> Image:
    """The image with its `path`, if it has one, made absolute from `folder`."""
    path = image.spec.source.path
    if path is None:
        return image
    absolute = os.path.normpath(os.path.join(folder, path))  # noqa: PTH118 - normalised as text, links stay
    source = image.spec.source.model_copy(update={"path": absolute})
    return image.model_copy(update={"spec": image.spec.model_copy(update={"source": source})})


def _not_an_object(data: Any) -> Finding:
    """Why this document is not taken for an object of any kind."""
    if not isinstance(data, dict):
        return Finding("S011", (), f"{shown(data)} is not an object; write apiVersion, kind, metadata and spec")
    if "kind" not in data:
        return Finding("S012", ("kind",), f"required, and missing; add kind: one of {', '.join(KINDS)}", on_key=True)
    kind = data["kind"]
    if kind not in get_args(Kind):
        suggestion = closest(kind, KINDS) if isinstance(kind, str) else ""
        ending = did_you_mean(suggestion, f"the kinds are {', '.join(KINDS)}")
        return Finding("S012", ("kind",), f"unknown kind {shown(kind)}{ending}", suggestion=suggestion)
    if "apiVersion" not in data:
        message = f"required, and missing; add apiVersion: {API_VERSION}"
        return Finding("S013", ("apiVersion",), message, on_key=True)
    message = f"{shown(data['apiVersion'])} is not known; write {API_VERSION}"
    return Finding("S013", ("apiVersion",), message, suggestion=API_VERSION)


def _kind(data: Any) -> str:
    kind = data.get("kind") if isinstance(data, dict) else None
    return kind if isinstance(kind, str) and kind in MODELS else ""


def _ref(data: Any) -> ObjectRef | None:
    """Who the object says it is, where that can be read."""
    kind = _kind(data)
    metadata = data.get("metadata") if kind else None
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if isinstance(name, str) and 0 < len(name) <= 63 and name.isprintable():
        return next(ObjectRef(known, name) for known in KINDS if known == kind)
    return None
