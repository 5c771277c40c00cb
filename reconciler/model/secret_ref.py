"""References to secrets: what specs and the configuration say instead of a password."""

from __future__ import annotations

from reconciler.model.resource import Line, Model


class SecretRef(Model):
    """Where a secret is read from; the secret itself is never in a spec."""

    file: Line | None = None
    """A file in the credentials directory."""
    env: Line | None = None
    """An environment variable of the controller."""
    age: Line | None = None
    """A file of the directory of specs that is encrypted with age; its path begins at that directory."""
    sops: Line | None = None
    """A file of the directory of specs that is encrypted with SOPS; its path begins at that directory. Name a YAML one
    `….sops.yaml`, or it is taken for a spec."""
    key: Line | None = None
    """Which value of the SOPS file, such as `web.password`; all of it, a binary one, when absent."""


def fault_of(reference: SecretRef) -> str | None:
    """Why the reference names no secret, for people; None for one that does."""
    sources = [each for each in (reference.file, reference.env, reference.age, reference.sops) if each is not None]
    if len(sources) != 1 or not sources[0]:
        return "name one source: {file: NAME}, {env: NAME}, {age: PATH} or {sops: PATH, key: KEY}"
    if reference.file is not None and not _is_below(reference.file):
        return "it names no file of the credentials directory; write a name such as h1-bmc, without .."
    if reference.env is None and not _is_below(sources[0]):
        return "it names no file of the directory of specs; write a path such as secrets/web.age, without .."
    return _fault_of_key(reference)


def _fault_of_key(reference: SecretRef) -> str | None:
    if reference.key is None:
        return None
    if reference.sops is None:
        return "key goes with sops: from anywhere else a secret comes as a whole"
    return None if all(reference.key.split(".")) else "its key has an empty part; write one such as web.password"


def source_of(reference: SecretRef) -> str:
    """Where the secret comes from, for people, such as `the file h1-bmc`."""
    if reference.env is not None:
        return f"the environment variable {reference.env}"
    if reference.age is not None:
        return f"the age-encrypted file {reference.age}"
    if reference.sops is not None:
        return f"{f'{reference.key} of ' if reference.key else ''}the SOPS file {reference.sops}"
    return f"the file {reference.file}"


def _is_below(path: str) -> bool:
    """Whether the name leads to nothing but a file below a folder."""
    return all(part not in ("", ".", "..") for part in path.split("/"))
