"""What every kind shares: strict frozen models, metadata, references."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal, NamedTuple, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

Kind = Literal["Host", "StoragePool", "Network", "Image", "VirtualMachine", "Approval"]
KINDS: Final[tuple[Kind, ...]] = ("Host", "StoragePool", "Network", "Image", "VirtualMachine", "Approval")
API_VERSION: Final = "reconciler/v1"

PAUSED_ANNOTATION: Final = "reconciler/paused"
PRUNE_ANNOTATION: Final = "reconciler/prune"

_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")

T = TypeVar("T")


class ObjectRef(NamedTuple):
    """`Kind/name`, the way every message names an object."""

    kind: Kind
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


def _dns_label(value: str) -> str:
    if _LABEL.fullmatch(value):
        return value
    raise ValueError(
        f"{value!r} is not a name; use lowercase letters, digits and '-', beginning and ending with a letter or"
        " digit, at most 63 characters"
    )


def _one_line(value: str) -> str:
    if value.isprintable():
        return value
    raise ValueError("must be printable text on one line")


def _tuple_from_list(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


Name = Annotated[
    str,
    AfterValidator(_dns_label),
    Field(json_schema_extra={"pattern": f"^{_LABEL.pattern}$"}),
]
# The length first: pydantic checks it natively as long as no function of ours comes before it.
Line = Annotated[str, Field(max_length=1024), AfterValidator(_one_line)]
Uuid = Annotated[str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
Items = Annotated[tuple[T, ...], BeforeValidator(_tuple_from_list)]
Labels = dict[Line, Line]


class Model(BaseModel):
    """Frozen, strict, unknown fields refused, camelCase in YAML."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
    )


class Metadata(Model):
    """Who the object is."""

    name: Name
    """Unique among the objects of its kind."""
    labels: Labels = Field(default_factory=dict)
    """What selectors and spread rules match on."""
    annotations: Labels = Field(default_factory=dict)
    """Free text; `reconciler/paused: "true"` holds all changes, `reconciler/prune: disabled` protects from removal,
    `reconciler/bmc-guid` is the GUID of a Host's BMC where it is not the machine's UUID. Any other that begins with
    `reconciler/` is an error."""

    adopt: Uuid | None = None
    """Of a VirtualMachine: UUID of the domain that is there already and becomes this VM, as it is. The VM keeps that
    UUID, so leave it in. `reconciler adopt` writes such specs."""
    previous_name: Name | None = None
    """Of a VirtualMachine: the name that it was made with, where it has another one now. The domain of that name is
    renamed once it is off; UUID, MACs and volumes stay those of the first name, so leave it in."""

    @property
    def origin(self) -> str:
        """The name that the VM was made with: its UUID, MACs and volumes follow from that."""
        return self.previous_name or self.name

    @property
    def paused(self) -> bool:
        return self.annotations.get(PAUSED_ANNOTATION) == "true"

    @property
    def prune_disabled(self) -> bool:
        return self.annotations.get(PRUNE_ANNOTATION) == "disabled"


class Resource(Model):
    """One desired object."""

    api_version: Literal["reconciler/v1"]
    """Version of this spec format."""
    metadata: Metadata

    @property
    def name(self) -> str:
        return self.metadata.name

    @model_validator(mode="after")
    def _was_another_vm(self) -> Resource:
        before = self.metadata.previous_name
        if before is not None and type(self).__name__ != "VirtualMachine":
            raise ValueError("metadata.previousName is for a VirtualMachine: nothing else has a domain to rename")
        if before == self.metadata.name:
            raise ValueError(f"metadata.previousName is its name, {before}; write the name that it had before")
        return self

    @model_validator(mode="after")
    def _adopts_domains_only(self) -> Resource:
        if self.metadata.adopt is not None and type(self).__name__ != "VirtualMachine":
            raise ValueError("metadata.adopt is for a VirtualMachine: what else is there is used with type: existing")
        return self


class HostSelector(Model):
    """Which hosts; every host when empty."""

    names: Items[Name] = ()
    """Hosts by name; any host when empty."""
    match_labels: Labels = Field(default_factory=dict)
    """Labels that a host must have, all of them."""

    def matches(self, name: str, labels: Labels) -> bool:
        """Whether the host `name` with `labels` is selected."""
        named = not self.names or name in self.names
        return named and all(labels.get(key) == value for key, value in self.match_labels.items())
