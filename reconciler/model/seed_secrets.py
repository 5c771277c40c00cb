"""Secrets of a first-boot configuration: its text says where they go, the spec where they come from."""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

from reconciler.model.secret_ref import SecretRef

PLACEHOLDER: Final = re.compile(r"(\$?)\$\{secret:([A-Za-z0-9][A-Za-z0-9_.-]{0,62})\}")
"""Its first group is `$` where the placeholder is meant literally, the second the name."""
_LOOKS_LIKE_ONE: Final = re.compile(r"(?<!\$)\$\{secret:")


class SeedSecret(Struct, frozen=True):
    """A secret by the name that the text has for it."""

    name: str
    reference: SecretRef

    @property
    def identity(self) -> str:
        """What tells it from others, which is where it comes from and not what it is."""
        return f"{self.name}={self.reference.model_dump_json(exclude_none=True)}"


def placeholders(text: str) -> tuple[str, ...]:
    """Names of the secrets that the text has room for, each once, in order."""
    return tuple(dict.fromkeys(found[2] for found in PLACEHOLDER.finditer(text) if not found[1]))


def has_broken_placeholder(text: str) -> bool:
    """Whether something begins as a placeholder does and is none."""
    whole = sum(not found[1] for found in PLACEHOLDER.finditer(text))
    return len(_LOOKS_LIKE_ONE.findall(text)) > whole
