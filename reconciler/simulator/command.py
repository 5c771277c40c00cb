"""The words of an event, such as `power-cut h1`: how they are written, and what is done for them."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Callable, Collection, Mapping
from pathlib import PurePosixPath
from typing import Any

from msgspec import Struct

from reconciler.model.quantities import parse_duration, parse_size


class Verb(Struct, frozen=True):
    """One word; `run` is called with the stage and the arguments of `usage`, missing ones left out.

    In `usage` capitals stand for a value of that type, `a|b` for one of these words, and `[…]` may be left out.
    """

    usage: str
    summary: str
    run: Callable[..., None]

    @property
    def name(self) -> str:
        return self.usage.split()[0]


class Command(Struct, frozen=True):
    """A verb with its arguments, as it was written."""

    text: str
    verb: Verb
    arguments: tuple[Any, ...]


def read_command(text: str, verbs: Mapping[str, Verb], hosts: Collection[str]) -> Command:
    """The command that `text` says; raises ValueError, in words, for one that is none."""
    words = shlex.split(text)
    if not words:
        raise ValueError("nothing is to be done here")
    verb = verbs.get(words[0])
    if verb is None:
        near = difflib.get_close_matches(words[0], verbs, n=1)
        raise ValueError(f"{words[0]!r} is no word of events{f'; did you mean {near[0]}?' if near else ''}")
    parameters = verb.usage.split()[1:]
    required = sum(not parameter.startswith("[") for parameter in parameters)
    given = words[1:]
    if not required <= len(given) <= len(parameters):
        raise ValueError(f"write it as: {verb.usage}")
    arguments = [_argument(p.strip("[]"), word, hosts, verb) for p, word in zip(parameters, given, strict=False)]
    literal = [p.islower() and "|" not in p for p in parameters]
    return Command(text, verb, tuple(a for a, fixed in zip(arguments, literal, strict=False) if not fixed))


def _argument(parameter: str, word: str, hosts: Collection[str], verb: Verb) -> Any:
    if parameter.replace("|", "").replace("-", "").islower():
        if word not in parameter.split("|"):
            raise ValueError(f"{word!r} is not {parameter.replace('|', ' or ')}; write it as: {verb.usage}")
        return word
    reader = _READERS.get(parameter)
    if parameter == "HOST" and word not in hosts:
        raise ValueError(f"{word!r} is no host of this fleet ({', '.join(hosts)})")
    return reader(word) if reader else word


def _count(word: str) -> int:
    if not word.isdigit() or not 0 < int(word) < 1_000_000:
        raise ValueError(f"{word!r} is not a number from 1")
    return int(word)


def _jump(word: str) -> float:
    if word[:1] not in ("+", "-"):
        raise ValueError(f"{word!r} is not a jump; write +1d or -1d")
    return parse_duration(word[1:]) * (-1 if word[0] == "-" else 1)


def _file(word: str) -> PurePosixPath:
    path = PurePosixPath(word)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{word!r} is not a file below the scenario's folder")
    return path


_READERS: Mapping[str, Callable[[str], Any]] = {
    "DURATION": parse_duration,
    "JUMP": _jump,
    "N": _count,
    "SIZE": parse_size,
    "FILE": _file,
}
