"""The specs in a Git repository: which one, and what is asked of its commits."""

from __future__ import annotations

import re
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from reconciler.model.ledger_store import Secret
from reconciler.model.quantities import Duration
from reconciler.model.resource import Line, Model
from reconciler.model.secret_ref import fault_of

_SCHEMES: Final = ("https", "ssh", "file", "http", "git")
_IN_THE_OPEN: Final = frozenset({"http", "git"})
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_SSH: Final = re.compile(r"(?:[\w.+-]+@)?(?!-)[\w.-]+:(?!:)[^\s:].*")
_CREDENTIALS: Final = re.compile(r"(?<=://)[^/\s]*@|[?#]\S*")
_BRANCH: Final = re.compile(r"(?![-/.])(?!.*(?:\.\.|//|/\.|\.lock(?:/|$)|@\{))[\w./+@=,-]+(?<![/.])")
_SHORTEST: Final = 5.0


def without_credentials(text: str) -> str:
    """A text with the accounts, passwords and queries of its URLs blotted out."""
    return _CREDENTIALS.sub(lambda found: "***@" if found[0].endswith("@") else "?***", text)


def _url(value: str) -> str:
    """Nothing of what is refused for its credentials is repeated."""
    if not value.isprintable() or " " in value or value.startswith("-"):
        raise ValueError("this is no URL of a Git repository: it begins with a dash, or has characters that URLs lack")
    if "://" not in value:
        if value.startswith("/") or _SSH.fullmatch(value):
            return value
        raise ValueError(f"{without_credentials(value)!r} is no URL that is fetched from; write {_EXAMPLES}")
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError as error:
        raise ValueError("this URL can't be read; write " + _EXAMPLES) from error
    if parts.scheme not in _SCHEMES:
        raise ValueError(f"{parts.scheme}: is not fetched from; write {_EXAMPLES}")
    if parts.password is not None or (parts.username and parts.scheme in {"http", "https"}) or parts.query:
        raise ValueError(
            "the URL holds credentials, which would end up in logs; take them out of it, and let Git's credential"
            " helper give them, or an SSH key"
        )
    if parts.scheme != "file" and (not parts.hostname or parts.hostname.startswith("-")):
        raise ValueError(f"the URL names no host; write {_EXAMPLES}")
    return value


_EXAMPLES: Final = "https://HOST/PATH.git, ssh://git@HOST/PATH.git, git@HOST:PATH.git or an absolute path"


def _branch(value: str) -> str:
    if _BRANCH.fullmatch(value):
        return value.removeprefix("refs/heads/")
    raise ValueError(f"{value!r} is no name of a branch")


def _below(value: str) -> str:
    parts = [part for part in value.split("/") if part not in ("", ".")]
    if value.startswith("/") or ".." in parts or not value.isprintable():
        raise ValueError(f"{value!r} is no path within the repository")
    return "/".join(parts)


def _unhurried(seconds: float) -> float:
    if seconds < _SHORTEST:
        raise ValueError(f"the least is {_SHORTEST:g} s")
    return seconds


class GitSource(Model):
    """A repository that is followed."""

    url: Annotated[Line, AfterValidator(_url)] | None = None
    """Where it is: `https://…`, `ssh://…`, `git@HOST:PATH` or an absolute path; with it, the specs are those of the
    newest commit there. Git asks whom it always asks for credentials: SSH's agent, credential helpers."""
    branch: Annotated[Line, AfterValidator(_branch)] = "main"
    """The branch that is followed."""
    path: Annotated[Line, AfterValidator(_below)] = ""
    """The directory of specs within the repository; all of it where none is named."""
    interval: Annotated[Duration, AfterValidator(_unhurried)] = 60.0
    """How often `reconciler run` asks for new commits."""
    timeout: Annotated[Duration, AfterValidator(_unhurried)] = 60.0
    """How long one fetch may take."""
    require_signed_commits: bool = False
    """Whether only commits are followed that somebody of `allowedSigners` signed."""
    allowed_signers: Line | None = None
    """File with those who may sign: as ssh-keygen(1) describes ALLOWED SIGNERS, or public keys as `gpg --export` has
    them."""
    webhook_secret: Secret | None = None
    """What a forge proves itself with at `POST /webhook` of `metricsListen`, which has new commits asked for at once:
    `{file: NAME}` in the credentials directory, or `{env: NAME}`. Without one there is no such page."""
    largest: Annotated[int, Field(ge=1, le=4096)] = 256
    """Most MiB of all files of one commit below `path`."""

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if self.require_signed_commits and self.allowed_signers is None:
            raise ValueError("requireSignedCommits needs to know whose signatures count: name allowedSigners")
        secret = self.webhook_secret
        if secret is not None and (fault_of(secret) or secret.age or secret.sops):
            raise ValueError("webhookSecret names either a file or an env")
        if self.url is not None and not self.require_signed_commits and _is_in_the_open(self.url):
            raise ValueError(
                "whoever is on the way to that host could put other specs in place of these; write https:// or ssh://,"
                " or set requireSignedCommits"
            )
        return self


def _is_in_the_open(url: str) -> bool:
    parts = urlsplit(url) if "://" in url else None
    return parts is not None and parts.scheme in _IN_THE_OPEN and parts.hostname not in _LOOPBACK
