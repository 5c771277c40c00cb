"""`explain` from the outside."""

from __future__ import annotations

import pytest

from tests.unit.cli.calling import invoke


def test_explain_of_nothing_lists_what_can_be_explained() -> None:
    result = invoke("explain")

    assert result.exit_code == 0
    assert "Host, StoragePool, Network, Image, VirtualMachine" in result.stdout
    assert "no-host-fits" in result.stdout


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("migration.fallback", "RECONCILER_MIGRATION_FALLBACK"),
        ("migration.fallback", "default  abort"),
        ("failback", "once it is `active` again"),
        ("balance", "balance.threshold"),
        ("windows.duration", "How long it lasts"),
    ],
)
def test_explain_says_what_a_key_of_the_configuration_means(key: str, told: str) -> None:
    result = invoke("explain", key)

    assert result.exit_code == 0
    assert told in " ".join(result.stdout.split("\n  "))


def test_explain_says_which_key_of_the_configuration_was_probably_meant() -> None:
    result = invoke("explain", "migration.falback")

    assert result.exit_code == 1
    assert "no key 'migration.falback'; did you mean migration.fallback?" in result.stderr
