"""A seed has its secrets the moment it is made; its name knows where they come from, and not what they are."""

from __future__ import annotations

import pytest
import yaml
from msgspec.structs import replace

from reconciler.credentials.secret_store import SecretStore
from reconciler.credentials.seed_texts import with_secrets
from reconciler.errors import SecretMissing, SecretRefused
from reconciler.model.secret_ref import SecretRef
from reconciler.model.seed import seed_hash
from reconciler.model.seed_secrets import SeedSecret
from reconciler.model.steps import SeedContent


def content(text: str = "#cloud-config\npassword: ${secret:a}\n", **changes: object) -> SeedContent:
    secrets = (SeedSecret("a", SecretRef(env="A")),)
    return SeedContent("i-1", "web", text, None, **{"secrets": secrets, **changes})  # type: ignore[arg-type]


def test_the_texts_get_their_secrets() -> None:
    seed = replace(content(), network_config="${secret:a}")

    made = with_secrets(seed, SecretStore({"A": "it's: #1"}))

    assert yaml.safe_load(made.user_data) == {"password": "it's: #1"}
    assert made.network_config == "it's: #1"
    assert made.secrets == ()


def test_a_missing_secret_is_named_with_its_vm() -> None:
    with pytest.raises(SecretMissing, match=r"VirtualMachine/web.*cloudInit\.secrets\.a"):
        with_secrets(content(), SecretStore({}))


def test_a_place_that_can_not_take_it_is_told_without_the_secret() -> None:
    with pytest.raises(SecretRefused) as refused:
        with_secrets(content("#cloud-config\na: {b: ${secret:a}}\n"), SecretStore({"A": "hunter2"}))

    assert "VirtualMachine/web: cloudInit: line 2" in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_the_name_of_a_seed_tells_references_and_revisions_apart() -> None:
    other = (SeedSecret("a", SecretRef(env="B")),)
    hashes = {seed_hash(each) for each in (content(), content(secrets=other), content(revision="2"))}

    assert len(hashes) == 3


def test_a_seed_without_secrets_keeps_the_name_that_it_had() -> None:
    plain = SeedContent("i-1", "web", "#cloud-config\n", None)

    assert seed_hash(plain) == "3db1a8ca35654ac7a9cf82e7c23df7acadc8a3756368d22922c40f130abf847b"
