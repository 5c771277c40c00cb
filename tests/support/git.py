"""Real Git repositories, made by the git program without the configuration of whoever runs the tests."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_IDENTITY: Final = {
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
}


def git(directory: Path, *arguments: str) -> str:
    """What `git ARGUMENTS` in `directory` says."""
    return subprocess.run(
        ["git", "-C", str(directory), *arguments],
        env={**os.environ, **_IDENTITY},
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


class Upstream:
    """A bare repository that is pushed to, as people do."""

    def __init__(self, folder: Path) -> None:
        self.bare = folder / "upstream.git"
        self.work = folder / "work"
        folder.mkdir(exist_ok=True)
        git(folder, "init", "-q", "--bare", "-b", "main", str(self.bare))
        git(folder, "init", "-q", "-b", "main", str(self.work))
        git(self.work, "remote", "add", "origin", str(self.bare))

    @property
    def url(self) -> str:
        return str(self.bare)

    def commit(self, files: Mapping[str, str | None], subject: str = "a change", *options: str) -> str:
        """Write the files (None removes one), commit and push; the commit."""
        for name, text in files.items():
            path = self.work / name
            if text is None:
                path.unlink()
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
        git(self.work, "add", "-A")
        git(self.work, "commit", "-q", "--allow-empty", "-m", subject, *options)
        return self.push()

    def push(self) -> str:
        """Have the branch be as it is here, whatever it was there; the commit."""
        git(self.work, "push", "-q", "--force", "origin", "HEAD:main")
        return git(self.work, "rev-parse", "HEAD")

    def back_to(self, commit: str) -> None:
        """Forget what came after it, here."""
        git(self.work, "reset", "-q", "--hard", commit)
