"""The daemon's watch on a repository: when it asks, what it waits for, what it says."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from reconciler.clock import SystemClock
from reconciler.config import Settings, load_settings
from reconciler.daemon.git_watch import GitWatch
from reconciler.daemon.source_words import source_problems
from reconciler.daemon.triggers import Dirty
from reconciler.errors import ConfigurationError, UsageError
from reconciler.model.git_source import GitSource
from reconciler.model.revision import SourceState
from tests.lab.waiting import wait_for
from tests.support.git import Upstream

_HOST = "apiVersion: reconciler/v1\nkind: Host\nmetadata: {name: h1}\nspec: {uri: 'qemu:///system'}\n"


@contextmanager
def watching(upstream: Upstream, state: Path, dirty: Dirty | None = None) -> Iterator[GitWatch]:
    stop = threading.Event()
    settings = Settings(state_dir=state, git=GitSource.model_validate({"url": upstream.url, "interval": "10m"}))
    watch = GitWatch(settings, dirty or Dirty(SystemClock()), SystemClock(), stop)
    watch.start()
    try:
        yield watch
    finally:
        stop.set()
        watch.join()


def test_it_waits_for_a_first_commit_and_is_told_of_it_before_its_interval(tmp_path: Path) -> None:
    upstream = Upstream(tmp_path / "forge")
    with watching(upstream, tmp_path / "state") as watch:
        wait_for(lambda: watch.waits_for, 10, "it does not say what it waits for")
        upstream.commit({"hosts.yaml": _HOST})
        watch.ask()

        assert watch.await_first(10)
    assert watch.waits_for == ""


def test_a_commit_is_a_reason_for_a_pass(tmp_path: Path) -> None:
    upstream = Upstream(tmp_path / "forge")
    commit = upstream.commit({"hosts.yaml": _HOST})
    dirty = Dirty(SystemClock())

    with watching(upstream, tmp_path / "state", dirty):
        reasons = dirty.wait(10)

    assert reasons == (f"commit {commit[:7]}",)


def test_each_trouble_is_told_once(tmp_path: Path) -> None:
    upstream = Upstream(tmp_path / "forge")
    with capture_logs() as logs, watching(upstream, tmp_path / "state") as watch:
        for _ in range(2):
            watch.ask()
            wait_for(lambda: watch.waits_for, 10, "it does not say what it waits for")
        upstream.commit({"hosts.yaml": _HOST})
        watch.ask()
        assert watch.await_first(10)
        wait_for(lambda: logs[-1]["event"] == "git.works_again", 10, lambda: str(logs))

    assert [line["event"] for line in logs] == ["git.unreachable", "git.followed", "git.works_again"]


def test_a_fetch_that_fails_once_is_no_problem_yet() -> None:
    state = SourceState("ssh://git@forge/x", "main", "", failing_since=1000.0, failure="no route to host")

    assert source_problems(state, 1060.0) == ()
    assert source_problems(state, 1600.0) == (
        "ssh://git@forge/x can't be asked for commits since 10m, the last one stays: no route to host",
    )


@pytest.mark.parametrize(
    ("flags", "environment", "is_followed"),
    [
        ({"git.url": "/srv/fleet.git"}, {}, True),
        ({"specs": "fleet"}, {"RECONCILER_GIT_URL": "/srv/fleet.git"}, False),
        ({"git.url": "/srv/fleet.git"}, {"RECONCILER_SPECS": "fleet"}, True),
    ],
)
def test_what_was_named_last_is_where_the_specs_are(
    flags: dict[str, str], environment: dict[str, str], is_followed: bool
) -> None:
    assert (load_settings(flags, environment).git is not None) is is_followed


def test_a_directory_and_a_repository_named_beside_each_other_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"specs and git\.url are both given"):
        load_settings({}, {"RECONCILER_SPECS": "fleet", "RECONCILER_GIT_URL": "/srv/fleet.git"})


def test_a_webhook_that_nobody_listens_for_is_refused() -> None:
    flags = {"git.url": "/srv/fleet.git", "git.webhookSecret": "env:HOOK", "metricsListen": "off"}

    with pytest.raises(ConfigurationError, match="nobody listens for the webhook"):
        load_settings(flags, {})


def test_commands_say_so_before_anything_was_fetched(tmp_path: Path) -> None:
    settings = load_settings({"git.url": "/srv/fleet.git", "stateDir": str(tmp_path)}, {})

    with pytest.raises(UsageError, match=r"no commit of /srv/fleet\.git was brought here yet"):
        settings.specs_directory()
