"""First-boot texts with their secrets, as they are the moment a seed is made of them; kept nowhere else."""

from __future__ import annotations

from msgspec.structs import replace

from reconciler.credentials.placeholders import filled, is_cloud_config
from reconciler.credentials.secret_store import SecretStore
from reconciler.errors import SecretRefused
from reconciler.model.steps import SeedContent


def with_secrets(content: SeedContent, store: SecretStore) -> SeedContent:
    """The same seed with its secrets in it; raises SecretError, which names the VM and never holds a secret."""
    if not content.secrets:
        return content
    owner = f"VirtualMachine/{content.hostname}"
    secrets = {
        each.name: store.text(each.reference, f"cloudInit.secrets.{each.name}", owner) for each in content.secrets
    }
    network = content.network_config
    try:
        return replace(
            content,
            user_data=filled(content.user_data, secrets, is_yaml=is_cloud_config(content.user_data)),
            network_config=None if network is None else filled(network, secrets, is_yaml=True),
            secrets=(),
        )
    except SecretRefused as error:
        raise SecretRefused(
            f"{owner}: cloudInit: {error.message}", hint="mend its text; `reconciler validate` tells the place"
        ) from None
