"""The Dockerfile, built and run for real."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING

import pytest

from reconciler import __version__
from tests.lab.guest.debian_base import debian_base
from tests.packaging.buildah import REPOSITORY, Buildah

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_IMAGE = "reconciler"
_LARGEST = 450e6  # bytes, unpacked
_OPEN_TEST_HOST = "import libvirt; print(libvirt.open('test:///default').getHostname() and 'test')"
_RUN_UNTIL_IT_PLANNED = """
reconciler run >/tmp/log 2>&1 & daemon=$!
for _ in $(seq 300); do grep -q pass.planned /tmp/log && break; sleep 0.2; done
kill $daemon; wait $daemon; code=$?
cat /tmp/log; echo "exit $code"
"""

pytestmark = [
    pytest.mark.lab,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        os.geteuid() != 0 or not (shutil.which("buildah") and shutil.which("mmdebstrap")),
        reason="needs root, buildah and mmdebstrap",
    ),
]


@pytest.fixture(scope="module")
def buildah(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Buildah]:
    """A storage that holds our image and is gone afterwards."""
    folder = tmp_path_factory.mktemp("buildah")
    buildah = Buildah(folder)
    try:
        buildah.add_base(debian_base())
        buildah.build(REPOSITORY, _IMAGE)
        yield buildah
        buildah.remove()
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def config(buildah: Buildah) -> dict[str, object]:
    """What the image says about running it."""
    config: dict[str, object] = json.loads(buildah("inspect", "--type", "image", _IMAGE))["OCIv1"]["config"]
    return config


@pytest.fixture(scope="module")
def in_container(buildah: Buildah) -> Callable[..., str]:
    """Run a command in a container as its user, and return its stdout."""
    container = buildah("from", "--pull-never", _IMAGE).strip()
    specs = f"{REPOSITORY / 'specs'}:/etc/reconciler/specs:ro"

    def run(*command: str) -> str:
        return buildah("run", "--isolation", "chroot", "--volume", specs, container, "--", *command)

    return run


def test_the_program_is_what_the_container_runs(config: dict[str, list[str]], in_container: Callable[..., str]) -> None:
    version = in_container(*config["Entrypoint"], "--version")

    assert version == f"reconciler {__version__}\n"


def test_specs_are_validated_in_the_container(in_container: Callable[..., str]) -> None:
    in_container("reconciler", "validate", "/etc/reconciler/specs")


def test_the_daemon_decides_in_the_container_and_ends_when_it_is_asked_to(in_container: Callable[..., str]) -> None:
    said = in_container("sh", "-c", _RUN_UNTIL_IT_PLANNED).splitlines()
    events = [json.loads(line)["event"] for line in said[:-1] if line.startswith("{")]

    assert said[-1] == "exit 0", said
    assert [event for event in events if event in ("daemon.started", "pass.planned", "daemon.stopped")] == [
        "daemon.started",
        "pass.planned",
        "daemon.stopped",
    ]


def test_time_zones_of_maintenance_windows_are_known(in_container: Callable[..., str]) -> None:
    named = "import zoneinfo; print(zoneinfo.ZoneInfo('Europe/Berlin'))"

    assert in_container("/opt/reconciler/bin/python", "-c", named) == "Europe/Berlin\n"


def test_nothing_runs_as_root(config: dict[str, str], in_container: Callable[..., str]) -> None:
    assert in_container("id", "--user").strip() == "990"
    assert config["User"] == "990:990"


def test_state_is_kept_in_a_volume_of_the_user(config: dict[str, list[str]], in_container: Callable[..., str]) -> None:
    assert list(config["Volumes"]) == ["/var/lib/reconciler"]
    assert in_container("stat", "--format=%U %a", "/var/lib/reconciler", "/var/lib/reconciler/.ssh").split("\n")[
        :2
    ] == [
        "reconciler 700",
        "reconciler 700",
    ]


def test_hosts_are_reached_through_ssh_and_fenced_by_agents(in_container: Callable[..., str]) -> None:
    in_container("ssh", "-V")
    in_container("ipmitool", "-V")
    for agent in ("fence_ipmilan", "fence_apc_snmp", "fence_aws"):
        in_container(agent, "--version")


def test_libvirt_is_reachable_from_python(in_container: Callable[..., str]) -> None:
    opened = in_container("/opt/reconciler/bin/python", "-c", _OPEN_TEST_HOST)

    assert opened == "test\n"


def test_compilers_stay_out_of_the_image(in_container: Callable[..., str]) -> None:
    found = in_container("sh", "-c", "command -v gcc pip pip3 || true")

    assert found == ""


def test_the_image_is_small(buildah: Buildah) -> None:
    size = json.loads(buildah("images", "--json", _IMAGE))[0]["size"]

    assert _bytes(size) < _LARGEST


def _bytes(size: str) -> float:
    """What buildah means by ``412 MB``."""
    number, unit = size.split()
    return float(number) * {"KB": 1e3, "MB": 1e6, "GB": 1e9}[unit]
