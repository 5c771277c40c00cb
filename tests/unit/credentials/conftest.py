"""A credentials directory, a directory of specs, and secrets that must not be told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyrage
import pytest

from reconciler.credentials.secret_store import SecretStore

GEHEIM = "correct horse battery staple"


@dataclass(frozen=True, slots=True)
class Vault:
    """Where secrets are; `environ` may be added to."""

    credentials: Path
    specs: Path
    environ: dict[str, str]

    def store(self) -> SecretStore:
        return SecretStore(self.environ, specs=lambda: self.specs)

    def make_identity(self) -> pyrage.x25519.Recipient:
        """Give the controller a new age identity; what it is encrypted for."""
        identity = pyrage.x25519.Identity.generate()
        path = self.credentials / "age-identity"
        path.write_text(f"# created: today\n# public key: {identity.to_public()}\n{identity}\n")
        path.chmod(0o600)
        return identity.to_public()


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    for name in ("credentials", "specs"):
        (tmp_path / name).mkdir(mode=0o700)
    return Vault(tmp_path / "credentials", tmp_path / "specs", {"CREDENTIALS_DIRECTORY": str(tmp_path / "credentials")})
