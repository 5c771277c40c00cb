"""Secrets come from where the reference says, or an error says why not, and never what they are."""

from __future__ import annotations

import os
from pathlib import Path

import pyrage
import pytest

from reconciler.credentials import sops_files
from reconciler.errors import DecryptionFailed, SecretError, SecretMissing, SecretRefused
from reconciler.model.secret_ref import SecretRef
from tests.unit.credentials.conftest import GEHEIM, Vault

OWNER = "VirtualMachine/web-1"
SOPS = """\
#!/bin/sh
echo "$@" > {trace}.arguments
env > {trace}.env
cat > {trace}.input
{act}
"""


def read(vault: Vault, **reference: str) -> str:
    return vault.store().text(SecretRef(**reference), "token", OWNER)


def refused(vault: Vault, error: type[SecretError], **reference: str) -> str:
    """What is told of the error, which says who wanted what and nothing of the secret."""
    with pytest.raises(error) as caught:
        read(vault, **reference)
    told = str(caught.value)
    assert caught.type is error
    assert told.startswith(f"{OWNER}: token ")
    assert GEHEIM not in told
    assert caught.value.hint
    return told


@pytest.fixture
def sops(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the program's stand-in is put; it leaves what it was told beside it."""
    folder = vault.specs.parent / "bin"
    folder.mkdir()
    monkeypatch.setattr(sops_files, "_PATH", f"{folder}:/usr/bin:/bin")
    return folder / "sops"


def install(sops: Path, act: str) -> None:
    sops.write_text(SOPS.format(trace=sops, act=act))
    sops.chmod(0o755)


def test_a_file_of_several_lines_loses_only_the_end_of_its_last(vault: Vault) -> None:
    (vault.credentials / "token").write_text(f"{GEHEIM}\n\nx\n")

    assert read(vault, file="token") == f"{GEHEIM}\n\nx"


def test_a_secret_is_read_anew_each_time(vault: Vault) -> None:
    store, reference = vault.store(), SecretRef(file="token")
    (vault.credentials / "token").write_text("old")
    before = store.text(reference, "token", OWNER)
    (vault.credentials / "token").write_text("new")

    assert (before, store.text(reference, "token", OWNER)) == ("old", "new")


def test_what_is_missing_is_told_with_the_command_that_makes_it(vault: Vault) -> None:
    assert "install -D -m 600 /dev/stdin" in refused(vault, SecretMissing, file="token")
    assert "environment variable TOKEN, which is not set" in refused(vault, SecretMissing, env="TOKEN")


@pytest.mark.parametrize("act", ["fifo", "folder", "link", "giant", "binary", "writable", "empty"])
def test_what_is_no_plain_file_of_ones_own_is_refused(vault: Vault, act: str) -> None:
    path = vault.credentials / "token"
    match act:
        case "fifo":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "link":
            (vault.specs / "other").write_text(GEHEIM)
            path.symlink_to(vault.specs / "other")
        case "giant":
            path.write_text(GEHEIM * 10_000)
        case "binary":
            path.write_bytes(b"\xff\xfe" + GEHEIM.encode())
        case "writable":
            path.write_text(GEHEIM)
            path.chmod(0o666)
        case _:
            path.write_text("\n")

    refused(vault, SecretRefused, file="token")


def test_a_credentials_directory_that_everybody_may_write_is_not_read(vault: Vault) -> None:
    (vault.credentials / "token").write_text(GEHEIM)
    vault.credentials.chmod(0o777)

    assert "chmod 700" in refused(vault, SecretRefused, file="token")


# -- age ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("armoured", [False, True])
def test_a_file_beside_the_specs_is_opened_by_the_controllers_age_identity(vault: Vault, *, armoured: bool) -> None:
    encrypted = pyrage.encrypt(f"{GEHEIM}\n".encode(), [vault.make_identity()], armored=armoured)
    (vault.specs / "secrets").mkdir()
    (vault.specs / "secrets/web.age").write_bytes(encrypted)

    assert read(vault, age="secrets/web.age") == GEHEIM


def test_a_file_for_somebody_else_is_not_opened(vault: Vault) -> None:
    vault.make_identity()
    other = pyrage.x25519.Identity.generate().to_public()
    (vault.specs / "web.age").write_bytes(pyrage.encrypt(GEHEIM.encode(), [other]))

    assert "age-identity of" in refused(vault, DecryptionFailed, age="web.age")


def test_without_an_identity_that_is_what_is_missing(vault: Vault) -> None:
    (vault.specs / "web.age").write_text("age-encryption.org/v1\n")

    assert "age-keygen | install" in refused(vault, SecretMissing, age="web.age")


@pytest.mark.parametrize("content", ["", "AGE-SECRET-KEY-1MISTYPED\n", "-----BEGIN OPENSSH PRIVATE KEY-----\nx\n"])
def test_a_broken_identity_is_told_without_anything_of_it(vault: Vault, content: str) -> None:
    (vault.credentials / "age-identity").write_text(content)
    (vault.specs / "web.age").write_text(GEHEIM)

    told = refused(vault, DecryptionFailed, age="web.age")

    assert "holds no key" in told
    assert "MISTYPED" not in told


@pytest.mark.parametrize("kind", ["age", "sops"])
def test_an_encrypted_file_that_a_link_takes_out_of_the_specs_is_refused(vault: Vault, kind: str) -> None:
    vault.make_identity()
    (vault.specs.parent / "outside").write_text(GEHEIM)
    (vault.specs / "web").symlink_to("../outside")

    assert "a link that leads out of" in refused(vault, SecretRefused, **{kind: "web"})


def test_where_there_are_no_specs_there_are_no_encrypted_files(vault: Vault) -> None:
    from reconciler.credentials.secret_store import SecretStore

    with pytest.raises(SecretRefused, match="which is of the specs"):
        SecretStore(vault.environ).text(SecretRef(age="web.age"), "token", OWNER)


# -- SOPS --------------------------------------------------------------------------------------------------------------


def test_a_value_of_a_sops_file_is_what_its_program_says(vault: Vault, sops: Path) -> None:
    install(sops, f"""echo '{{"web": {{"tokens": ["{GEHEIM}"]}}, "sops": {{}}}}'""")
    (vault.specs / "web.sops.yaml").write_text("web: ENC[…]\n")

    assert read(vault, sops="web.sops.yaml", key="web.tokens.0") == GEHEIM

    arguments = Path(f"{sops}.arguments").read_text()
    assert arguments == "--decrypt --input-type yaml --output-type json /dev/stdin\n"
    assert Path(f"{sops}.input").read_text() == "web: ENC[…]\n"


def test_a_sops_file_without_a_key_is_one_secret(vault: Vault, sops: Path) -> None:
    install(sops, f"echo '{GEHEIM}'")
    (vault.specs / "web.key").write_text("{}")

    assert read(vault, sops="web.key") == GEHEIM


def test_sops_is_given_what_leads_to_keys_and_nothing_else(vault: Vault, sops: Path) -> None:
    install(sops, "echo '{\"a\": 1}'")
    (vault.specs / "web.sops.yaml").write_text("a: b")
    vault.make_identity()
    vault.environ.update(AWS_PROFILE="p", TOKEN=GEHEIM, HOME="/home/x")

    assert read(vault, sops="web.sops.yaml", key="a") == "1"

    seen = dict(line.partition("=")[::2] for line in Path(f"{sops}.env").read_text().splitlines())
    assert seen["SOPS_AGE_KEY_FILE"] == str(vault.credentials / "age-identity")
    assert (seen["AWS_PROFILE"], seen["HOME"]) == ("p", "/home/x")
    assert "TOKEN" not in seen


@pytest.mark.parametrize(
    ("act", "error", "words"),
    [
        ("echo 'Failed to get the data key' >&2; exit 128", DecryptionFailed, "Failed to get the data key"),
        (f'echo \'{{"a": {{"b": "{GEHEIM}"}}}}\'', SecretRefused, "a is not one value"),
        (f'echo \'{{"b": "{GEHEIM}"}}\'', SecretMissing, "which has no a"),
        (f"echo '{GEHEIM}'", SecretMissing, "which has no a"),
    ],
)
def test_what_sops_cannot_give_is_told_without_what_it_could(
    vault: Vault, sops: Path, act: str, error: type[SecretError], words: str
) -> None:
    install(sops, act)
    (vault.specs / "web.sops.yaml").write_text("a: b")

    assert words in refused(vault, error, sops="web.sops.yaml", key="a")


def test_sops_that_hangs_is_ended(vault: Vault, sops: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sops_files, "_SECONDS", 0.2)
    install(sops, "sleep 60")
    (vault.specs / "web.sops.yaml").write_text("a: b")

    assert "did not decrypt within" in refused(vault, DecryptionFailed, sops="web.sops.yaml", key="a")


def test_without_its_program_nothing_of_sops_is_read(vault: Vault, sops: Path) -> None:
    assert not sops.exists()
    (vault.specs / "web.sops.yaml").write_text("a: b")

    assert "the program sops is not in" in refused(vault, SecretMissing, sops="web.sops.yaml", key="a")
