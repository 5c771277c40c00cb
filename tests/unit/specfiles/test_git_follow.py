"""A repository is followed commit by commit; what can't be had or trusted leaves the last good commit in place."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest
from msgspec.structs import replace

from reconciler.clock import SystemClock
from reconciler.model.git_source import GitSource
from reconciler.specfiles.git_copy import FOLDER, copy_of, followed, read_state
from reconciler.specfiles.git_follow import Follower, Step
from reconciler.specfiles.loader import load
from tests.support.git import Upstream, git

_HOST = "apiVersion: reconciler/v1\nkind: Host\nmetadata: {name: h1}\nspec: {uri: 'qemu:///system'}\n"


@pytest.fixture
def upstream(tmp_path: Path) -> Upstream:
    return Upstream(tmp_path / "forge")


def follower(upstream: Upstream, state: Path, **settings: object) -> Follower:
    source = GitSource.model_validate({"url": upstream.url, **settings})
    made = Follower(source, state, SystemClock(), threading.Event())
    made.begin()
    return made


def tree(state: Path) -> dict[str, str]:
    """The files that a controller would read now."""
    top = followed(state)
    return {str(path.relative_to(top)): path.read_text() for path in top.rglob("*") if path.is_file()}


def followed_commit(step: Step) -> str:
    return step.followed.commit if step.followed else ""


def test_the_files_below_the_path_of_the_newest_commit_are_the_specs(upstream: Upstream, tmp_path: Path) -> None:
    commit = upstream.commit({"fleet/hosts.yaml": _HOST, "README.md": "of no interest"}, "a first host")

    step = follower(upstream, tmp_path / "state", path="fleet").step()

    assert (step.is_new, followed_commit(step)) == (True, commit)
    assert tree(tmp_path / "state") == {"hosts.yaml": _HOST}
    specs = load(followed(tmp_path / "state"), fleet="f")
    assert specs.generation == commit
    assert specs.revision is not None
    assert (specs.revision.subject, specs.revision.author) == ("a first host", "Ada")
    assert str(specs.sources[next(iter(specs.sources))]).startswith("fleet/hosts.yaml:")


def test_nothing_is_new_while_nobody_commits(upstream: Upstream, tmp_path: Path) -> None:
    upstream.commit({"hosts.yaml": _HOST})
    watch = follower(upstream, tmp_path / "state")
    watch.step()

    assert not watch.step().is_new


def test_an_empty_repository_is_waited_for(upstream: Upstream, tmp_path: Path) -> None:
    watch = follower(upstream, tmp_path / "state")

    step = watch.step()
    assert step.followed is None
    assert "no branch main, or no commit yet; push one: git push origin HEAD:main" in step.state.failure
    upstream.commit({"hosts.yaml": _HOST})
    assert watch.step().is_new


def test_a_remote_that_is_gone_leaves_the_last_commit_and_its_age(upstream: Upstream, tmp_path: Path) -> None:
    commit = upstream.commit({"hosts.yaml": _HOST})
    watch = follower(upstream, tmp_path / "state")
    reached = watch.step().state.fetched_at
    shutil.move(upstream.bare, tmp_path / "elsewhere")

    step = watch.step()

    assert followed_commit(step) == commit
    assert tree(tmp_path / "state") == {"hosts.yaml": _HOST}
    assert step.state.fetched_at == reached
    assert step.state.failing_since >= reached
    assert "does not appear to be a git repository" in step.state.failure
    assert read_state(tmp_path / "state") == step.state


def test_history_that_was_rewritten_is_followed_and_told(upstream: Upstream, tmp_path: Path) -> None:
    first = upstream.commit({"hosts.yaml": _HOST})
    second = upstream.commit({"more.yaml": "# nothing\n"})
    watch = follower(upstream, tmp_path / "state")
    watch.step()
    upstream.back_to(first)
    third = upstream.commit({"hosts.yaml": _HOST.replace("h1", "h2")}, "something else")

    step = watch.step()

    assert followed_commit(step) == third
    assert step.followed is not None
    assert step.followed.replaced == second
    assert tree(tmp_path / "state") == {"hosts.yaml": _HOST.replace("h1", "h2")}


def test_a_commit_without_the_directory_of_specs_is_not_followed(upstream: Upstream, tmp_path: Path) -> None:
    commit = upstream.commit({"fleet/hosts.yaml": _HOST})
    watch = follower(upstream, tmp_path / "state", path="fleet")
    watch.step()
    newer = upstream.commit({"fleet/hosts.yaml": None, "README.md": "moved"})

    step = watch.step()

    assert (followed_commit(step), step.state.refused) == (commit, newer)
    assert "it has no directory fleet" in step.state.refusal


def test_a_controller_that_begins_anew_goes_on_with_what_it_had(upstream: Upstream, tmp_path: Path) -> None:
    commit = upstream.commit({"hosts.yaml": _HOST})
    follower(upstream, tmp_path / "state").step()
    shutil.rmtree(upstream.bare)

    again = Follower(GitSource(url=upstream.url), tmp_path / "state", SystemClock(), threading.Event())

    taken_up = again.begin()
    assert taken_up is not None
    assert taken_up.commit == commit


def test_files_that_a_power_cut_left_empty_are_written_again(upstream: Upstream, tmp_path: Path) -> None:
    upstream.commit({"hosts.yaml": _HOST})
    follower(upstream, tmp_path / "state").step()
    shutil.rmtree(upstream.bare)
    (followed(tmp_path / "state") / "hosts.yaml").write_text("")

    follower(upstream, tmp_path / "state")

    assert tree(tmp_path / "state") == {"hosts.yaml": _HOST}


def test_another_repository_is_not_taken_for_the_one_before(upstream: Upstream, tmp_path: Path) -> None:
    upstream.commit({"hosts.yaml": _HOST})
    follower(upstream, tmp_path / "state").step()
    other = Upstream(tmp_path / "other")

    follower(other, tmp_path / "state")

    assert copy_of(followed(tmp_path / "state")) is None


def test_what_was_cut_off_half_way_is_cleared_away(upstream: Upstream, tmp_path: Path) -> None:
    upstream.commit({"hosts.yaml": _HOST})
    watch = follower(upstream, tmp_path / "state")
    half = tmp_path / "state" / FOLDER / "commits" / "0123-4.unfinished"
    half.mkdir()
    (half / "hosts.yaml").write_text("half")

    follower(upstream, tmp_path / "state")

    assert not half.exists()
    assert watch.step().is_new


def test_few_copies_are_kept(upstream: Upstream, tmp_path: Path) -> None:
    watch = follower(upstream, tmp_path / "state")
    for number in range(6):
        upstream.commit({"hosts.yaml": _HOST + f"# {number}\n"})
        watch.step()

    assert len(list((tmp_path / "state" / FOLDER / "commits").iterdir())) == 3


def test_a_machine_without_git_is_told_what_to_install(
    upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = follower(upstream, tmp_path / "state")
    monkeypatch.setenv("PATH", str(tmp_path))

    assert watch.step().state.failure == "there is no git on this machine; install git"


def test_too_much_is_not_written(upstream: Upstream, tmp_path: Path) -> None:
    upstream.commit({"hosts.yaml": _HOST, "disk.img": "x" * (2 << 20)})

    step = follower(upstream, tmp_path / "state", largest=1).step()

    assert "are more than 1 MiB; keep images and the like elsewhere, or raise git.largest" in step.state.refusal


def test_a_checkout_tells_its_commit_and_whether_it_is_changed(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    (tmp_path / "hosts.yaml").write_text(_HOST)
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "a first host")
    clean = load(tmp_path, fleet="f").revision
    (tmp_path / "hosts.yaml").write_text(_HOST.replace("h1", "h2"))

    changed = load(tmp_path, fleet="f").revision

    assert clean is not None
    assert (clean.subject, clean.is_dirty) == ("a first host", False)
    assert changed == replace(clean, is_dirty=True)
