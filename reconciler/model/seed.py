"""The identity of a NoCloud seed: what it says, not the bytes that some library made of it."""

from __future__ import annotations

import hashlib
from typing import Final

from reconciler.model.steps import SeedContent

_LAYOUT: Final = "nocloud/1"  # changes when the same content has to become another seed


def seed_hash(content: SeedContent) -> str:
    """64 hex digits that differ whenever the content does; the same on every machine and with every library."""
    digest = hashlib.sha256()
    secrets = (*(secret.identity for secret in content.secrets), content.revision)
    more = secrets if any(secrets) else ()  # nothing of it where there is none: seeds that there are keep their names
    for field in (_LAYOUT, content.instance_id, content.hostname, content.user_data, content.network_config, *more):
        data = b"" if field is None else field.encode()
        mark = b"absent" if field is None else str(len(data)).encode()
        digest.update(mark + b":" + data)
    return digest.hexdigest()
