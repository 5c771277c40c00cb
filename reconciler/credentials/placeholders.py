"""`${secret:NAME}` in a text, and what the text becomes once the secrets are known.

In YAML a secret is put in as a value, quoted by the rules of YAML, so that none can become a key, a comment or another
line. In anything else, such as a script, it is put in as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from msgspec import Struct

from reconciler.errors import SecretRefused
from reconciler.model.seed_secrets import PLACEHOLDER

_CLOUD_CONFIG: Final = re.compile(r"#cloud-config\s*?(?:\n|$)")
_NO_YAML: Final = 'is no YAML; within braces and brackets write it in quotes: "${secret:NAME}"'
_WIDEST: Final = 1 << 30


class Misplaced(SecretRefused):
    """A placeholder on `line` (from 1) of a YAML text that can't be replaced, or a text that is no YAML."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line} {reason}")
        self.line = line


class _Value(Struct, frozen=True):
    """A scalar of a YAML text: where it begins and ends, in characters, and what it says."""

    start: int
    end: int
    text: str


def is_cloud_config(user_data: str) -> bool:
    """Whether cloud-init reads the user data as YAML, as it stands."""
    return _CLOUD_CONFIG.match(user_data) is not None


def filled(text: str, secrets: Mapping[str, str], *, is_yaml: bool) -> str:
    """The text with its secrets by name; `$${secret:` stands for `${secret:` itself. Raises Misplaced."""
    whole = PLACEHOLDER.fullmatch(text.strip())
    if whole is not None and not whole[1]:
        return secrets[whole[2]]

    def put_in(piece: str) -> str:
        return PLACEHOLDER.sub(lambda found: found[0][1:] if found[1] else secrets[found[2]], piece)

    return "".join(_with_values(text, put_in)) if is_yaml else put_in(text)


def check(text: str) -> None:
    """Raise Misplaced for a YAML text whose placeholders could not all be replaced; nothing of it is told."""
    if PLACEHOLDER.search(text) and not PLACEHOLDER.fullmatch(text.strip()):
        _values(text)


def _with_values(text: str, put_in: Callable[[str], str]) -> Iterator[str]:
    """The text, with each value that has a placeholder replaced by what `put_in` makes of it, in double quotes."""
    done = 0
    for value in _values(text):
        yield text[done : value.start]
        yield _quoted(put_in(value.text))
        yield "\n" if text[value.start : value.end].endswith("\n") else ""  # the end of a block scalar's last line
        done = value.end
    yield text[done:]


def _values(text: str) -> list[_Value]:
    """The values that have placeholders, in order; raises Misplaced."""
    import yaml  # noqa: PLC0415  # only where there are secrets

    try:
        tokens = list(yaml.scan(text, Loader=yaml.SafeLoader))
        for _ in yaml.parse(text, Loader=yaml.SafeLoader):
            pass  # tokens that are no document must not pass
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise Misplaced(mark.line + 1 if mark else 1, _NO_YAML) from None
    except yaml.YAMLError:
        raise Misplaced(1, "has characters that YAML may not have") from None
    found: list[_Value] = []
    for place in PLACEHOLDER.finditer(text):
        around = [
            each for each in tokens if each.start_mark.index < place.end() and each.end_mark.index > place.start()
        ]
        match around:
            case []:
                continue  # in a comment
            case [yaml.ScalarToken() as token]:
                value = _Value(token.start_mark.index, token.end_mark.index, token.value)
                if value not in found[-1:]:
                    found.append(value)
            case _:
                line = text.count("\n", 0, place.start()) + 1
                raise Misplaced(line, 'has a placeholder that YAML takes apart; write it in quotes: "${secret:NAME}"')
    return found


def _quoted(value: str) -> str:
    import yaml  # noqa: PLC0415  # as above

    text: str = yaml.dump(value, default_style='"', width=_WIDEST)
    return text.removesuffix("\n")
