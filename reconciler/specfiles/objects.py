"""One file's documents to typed objects, each with its own problems."""

from __future__ import annotations

import os
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from reconciler.model.desired_state import SourceRef, SpecProblem
from reconciler.model.image import Image
from reconciler.model.policy import PlainSecrets
from reconciler.model.resource import API_VERSION, KINDS, ObjectRef, Resource
from reconciler.specfiles.advice import advice, refusals
from reconciler.specfiles.drafts import Draft, as_written, draft_of, findings_in
from reconciler.specfiles.envelope import Envelope, kind_of, open_envelope
from reconciler.specfiles.messages import closest
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
    draft: Draft | None = None
    """What it says apart from its errors."""
    perhaps: tuple[ObjectRef, ...] = ()
    """Who it may be where `ref` is None; a name is empty where any is possible."""


class SpecFile(Struct, frozen=True):
    """What one file said."""

    text: Text
    objects: tuple[SpecObject, ...] = ()
    broken: SpecProblem | None = None
    """Why no object could be read from it, though it may define some."""


def read_objects(text: Text, folder: str, plain_secrets: PlainSecrets = "warn") -> SpecFile:
    """Parse and validate one file; nothing is raised for what is wrong with it.

    `folder` is the absolute directory of the file: relative image paths start there.
    """
    try:
        documents = parse(text.content)
    except YamlError as error:
        return SpecFile(text, (), text.syntax_problem(error))
    lines = first_lines(text.content, documents)
    objects = tuple(
        _read_object(text, document, line, folder, plain_secrets)
        for document, line in zip(documents, lines, strict=True)
        if document.data is not None
    )
    return SpecFile(text, objects)


def _read_object(text: Text, document: Document, line: int, folder: str, plain_secrets: PlainSecrets) -> SpecObject:
    where = SourceRef(text.file, line)
    data = document.data
    kind = kind_of(data)
    if kind is None or data.get("apiVersion") != API_VERSION:
        return _with_draft(text, document, where, open_envelope(data), folder)
    resource, findings = findings_in(kind, data)
    if resource is None:
        return _with_draft(text, document, where, Envelope(kind, data, findings), folder)
    if refused := refusals(resource, plain_secrets):
        return _with_draft(text, document, where, Envelope(kind, data, refused), folder)
    ref = ObjectRef(kind, resource.metadata.name)
    warnings = tuple(text.problem(document.index, str(ref), finding) for finding in advice(resource))
    return SpecObject(text, ref, document.index, where, _located(resource, folder), warnings)


def _with_draft(text: Text, document: Document, where: SourceRef, envelope: Envelope, folder: str) -> SpecObject:
    """An object with errors, and what it says apart from them, if it can be told what it is."""
    if envelope.kind is None:
        return _invalid(text, document, where, envelope.findings)
    draft, more = draft_of(envelope.kind, envelope.complete, envelope.findings)
    warnings = (as_written(draft, finding) for finding in advice(draft.resource))
    item = _invalid(text, document, where, [*envelope.findings, *more, *filter(None, warnings)])
    perhaps = () if item.ref else (ObjectRef(envelope.kind, draft.resource.metadata.name),)
    return replace(item, draft=replace(draft, resource=_located(draft.resource, folder)), perhaps=perhaps)


def _invalid(text: Text, document: Document, where: SourceRef, findings: list[Finding]) -> SpecObject:
    ref = _ref(document.data)
    target = str(ref or kind_of(document.data) or "")
    problems = tuple(text.problem(document.index, target, finding) for finding in findings)
    return SpecObject(text, ref, document.index, where, None, problems, perhaps=() if ref else _perhaps(document.data))


def _located(resource: Resource, folder: str) -> Resource:
    return with_absolute_path(resource, folder) if isinstance(resource, Image) else resource


def with_absolute_path(image: Image, folder: str) -> Image:
    """The image with its `path`, if it has one, made absolute from `folder`."""
    path = image.spec.source.path
    if path is None:
        return image
    absolute = os.path.normpath(os.path.join(folder, path))  # noqa: PTH118 - normalised as text, links stay
    source = image.spec.source.model_copy(update={"path": absolute})
    return image.model_copy(update={"spec": image.spec.model_copy(update={"source": source})})


def _ref(data: Any) -> ObjectRef | None:
    """Who the object says it is, where that can be read."""
    kind, name = kind_of(data), _name(data)
    return ObjectRef(kind, name) if kind and name else None


def _name(data: Any) -> str:
    metadata = data.get("metadata") if isinstance(data, dict) else None
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return name if isinstance(name, str) and 0 < len(name) <= 63 and name.isprintable() else ""


def _perhaps(data: Any) -> tuple[ObjectRef, ...]:
    """Who an object of no readable kind or name may be; who says neither is nobody."""
    kind, name = data.get("kind") if isinstance(data, dict) else None, _name(data)
    meant = closest(kind, KINDS) or kind if isinstance(kind, str) else ""
    kinds = [known for known in KINDS if known == meant] or (KINDS if name else ())
    return tuple(ObjectRef(known, name) for known in kinds)
