"""Attacks 26 and 27: what a repository brings along is never executed, and only who may sign is followed."""

from __future__ import annotations

import subprocess
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from reconciler.clock import SystemClock
from reconciler.config import load_settings
from reconciler.errors import ConfigurationError
from reconciler.model.git_source import GitSource
from reconciler.specfiles.git_copy import followed
from reconciler.specfiles.git_follow import Follower, Step
from reconciler.specfiles.loader import load
from tests.lab.waiting import wait_for
from tests.support.git import Upstream, git

_HOST = "apiVersion: reconciler/v1\nkind: Host\nmetadata: {name: h1}\nspec: {uri: 'qemu:///system'}\n"


@pytest.fixture
def upstream(tmp_path: Path) -> Upstream:
    return Upstream(tmp_path / "forge")


def follow(upstream: Upstream, tmp_path: Path, **settings: object) -> Step:
    source = GitSource.model_validate({"url": upstream.url, **settings})
    follower = Follower(source, tmp_path / "state", SystemClock(), threading.Event())
    follower.begin()
    return follower.step()


def trap(tmp_path: Path) -> Path:
    """A program that leaves a mark."""
    program = tmp_path / "trap.sh"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\ncat\n")
    program.chmod(0o755)
    return program


def test_26_neither_hooks_nor_filters_of_anybody_are_run(
    upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even those of the user's own configuration, which a repository could have called by its attributes."""
    program = trap(tmp_path)
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for name in (
        "post-checkout",
        "post-merge",
        "post-rewrite",
        "reference-transaction",
        "pre-auto-gc",
        "post-index-change",
    ):
        (hooks / name).symlink_to(program)
    template = tmp_path / "template"
    (template / "hooks").mkdir(parents=True)
    (template / "hooks/reference-transaction").symlink_to(program)
    config = tmp_path / "gitconfig"
    config.write_text(
        f"[core]\nhooksPath = {hooks}\nfsmonitor = {program}\nalternateRefsCommand = {program}\n"
        f"[init]\ntemplateDir = {template}\n[fetch]\nrecurseSubmodules = true\n"
        f'[filter "x"]\nsmudge = {program}\nclean = {program}\nprocess = {program}\nrequired = true\n'
        f'[diff "x"]\ntextconv = {program}\ncommand = {program}\n'
    )
    upstream.commit({"hosts.yaml": _HOST, ".gitattributes": "* filter=x diff=x ident\n", ".gitmodules": ""})
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_DIR", str(upstream.work / ".git"))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", str(program))

    step = follow(upstream, tmp_path)

    assert step.is_new
    assert (followed(tmp_path / "state") / "hosts.yaml").read_text() == _HOST
    assert not (tmp_path / "sprung").exists()


def test_26_a_submodule_is_not_fetched_and_told(upstream: Upstream, tmp_path: Path) -> None:
    inner = Upstream(tmp_path / "inner")
    inner.commit({"vms.yaml": _HOST})
    upstream.commit({"hosts.yaml": _HOST})
    git(upstream.work, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", inner.url, "more.yaml")
    upstream.commit({})

    follow(upstream, tmp_path)

    specs = load(followed(tmp_path / "state"), fleet="f")
    assert list(specs.hosts) == ["h1"]
    assert any(problem.where.file == "more.yaml" for problem in specs.problems)
    assert specs.removal_hold


@pytest.mark.parametrize("target", ["/etc/hostname", "../../../../etc/hostname", "../outside.yaml"])
def test_26_a_link_out_of_the_repository_is_not_followed(upstream: Upstream, tmp_path: Path, target: str) -> None:
    (upstream.work / "fleet").mkdir()
    (upstream.work / "fleet/sly.yaml").symlink_to(target)
    upstream.commit({"fleet/hosts.yaml": _HOST})

    follow(upstream, tmp_path, path="fleet")

    specs = load(followed(tmp_path / "state"), fleet="f")
    assert list(specs.hosts) == ["h1"]
    assert any(problem.where.file == "fleet/sly.yaml" for problem in specs.problems)


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c touch% /tmp/sprung",
        "--upload-pack=/tmp/trap",
        "ssh://-oProxyCommand=trap/x",
        "fd::17",
        "-oProxyCommand=x:y",
    ],
)
def test_26_a_url_that_runs_something_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"git\.url"):
        load_settings({"git.url": url}, {})


def test_26_a_url_with_a_password_is_refused_without_repeating_it() -> None:
    with pytest.raises(ConfigurationError) as refused:
        load_settings({"git.url": "https://ada:hunter2@forge.example/fleet.git"}, {})

    assert "hunter2" not in str(refused.value)
    assert "credential helper" in str(refused.value)


def test_26_a_host_that_never_answers_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever ssh waits for: its deadline ends it, and all that it started."""
    pid = tmp_path / "pid"
    stuck = tmp_path / "stuck.sh"
    stuck.write_text(f"#!/bin/sh\necho $$ > {pid}\nexec sleep 600\n")
    stuck.chmod(0o755)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(stuck))
    source = GitSource(url="git@forge.invalid:fleet.git").model_copy(update={"timeout": 0.5})
    follower = Follower(source, tmp_path / "state", SystemClock(), threading.Event())
    follower.begin()

    step = follower.step()

    assert "git fetch was ended: it took longer than 0.5 s" in step.state.failure
    wait_for(lambda: not is_alive(int(pid.read_text())), 5, "ssh is left over")


def is_alive(pid: int) -> bool:
    """Not one that has ended, and nobody asked for its exit code yet."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    return False


def key(folder: Path, name: str) -> Path:
    """A new SSH key, whose public half stands beside it."""
    path = folder / name
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(path)], check=True)
    return path


def sign_with(upstream: Upstream, signing_key: Path) -> None:
    git(upstream.work, "config", "gpg.format", "ssh")
    git(upstream.work, "config", "user.signingkey", str(signing_key))


@pytest.fixture
def signers(tmp_path: Path) -> Path:
    """Those who may sign: Ada alone."""
    public = key(tmp_path, "ada").with_suffix(".pub").read_text()
    file = tmp_path / "allowed_signers"
    file.write_text(f"ada@example.org {public}")
    return file


def test_27_a_commit_of_somebody_who_may_sign_is_followed(upstream: Upstream, tmp_path: Path, signers: Path) -> None:
    sign_with(upstream, tmp_path / "ada")
    upstream.commit({"hosts.yaml": _HOST}, "signed", "-S")

    step = follow(upstream, tmp_path, requireSignedCommits=True, allowedSigners=str(signers))

    assert step.followed is not None
    assert step.followed.signer == "ada@example.org"


@pytest.mark.parametrize("how", ["unsigned", "another key", "quoted in the message", "changed afterwards"])
def test_27_any_other_commit_leaves_the_one_before(upstream: Upstream, tmp_path: Path, signers: Path, how: str) -> None:
    sign_with(upstream, tmp_path / "ada")
    good = upstream.commit({"hosts.yaml": _HOST}, "signed", "-S")
    follow(upstream, tmp_path, requireSignedCommits=True, allowedSigners=str(signers))
    evil = _HOST.replace("h1", "evil")
    if how == "unsigned":
        upstream.commit({"hosts.yaml": evil})
    elif how == "another key":
        sign_with(upstream, key(tmp_path, "eve"))
        upstream.commit({"hosts.yaml": evil}, "signed", "-S")
    elif how == "quoted in the message":
        signed = git(upstream.work, "cat-file", "commit", good)
        upstream.commit({"hosts.yaml": evil}, signed.partition("gpgsig ")[2])
    else:
        forge(upstream, evil)

    step = follow(upstream, tmp_path, requireSignedCommits=True, allowedSigners=str(signers))

    assert step.followed is not None
    assert step.followed.commit == good
    assert step.state.refused == git(upstream.work, "rev-parse", "HEAD")
    assert step.state.refusal
    assert (followed(tmp_path / "state") / "hosts.yaml").read_text() == _HOST


def forge(upstream: Upstream, evil: str) -> None:
    """The signature of the last commit, over another tree."""
    signed = git(upstream.work, "cat-file", "commit", "HEAD")
    old = git(upstream.work, "rev-parse", "HEAD^{tree}")
    (upstream.work / "hosts.yaml").write_text(evil)
    git(upstream.work, "add", "-A")
    new = git(upstream.work, "write-tree")
    raw = upstream.work.parent / "forged"
    raw.write_text(signed.replace(old, new) + "\n")
    made = git(upstream.work, "hash-object", "-t", "commit", "-w", str(raw))
    upstream.back_to(made)
    upstream.push()


def test_27_what_was_followed_without_a_signature_is_not_once_one_is_required(
    upstream: Upstream, tmp_path: Path, signers: Path
) -> None:
    upstream.commit({"hosts.yaml": _HOST})
    follow(upstream, tmp_path)

    step = follow(upstream, tmp_path, requireSignedCommits=True, allowedSigners=str(signers))

    assert step.followed is None
    assert "it is not signed; sign it: git commit --amend --no-edit -S, and push it" in step.state.refusal
