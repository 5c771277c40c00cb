"""What is told of a move that is over says what it cost, and what would help where it failed."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from reconciler.errors import HostRefused
from reconciler.executor.handlers.migration_words import how_it_went, why_stayed
from reconciler.model.migration import MigrationJob
from tests.unit.executor.test_post_copy import RULES, STEP

_OVER = MigrationJob(total=0, done=0, remaining=0, elapsed=2.8, downtime=0.21)
_NO_FILE = (
    "internal error: unable to execute QEMU command 'object-add': Unable to access credentials"
    " /etc/pki/qemu/ca-cert.pem: No such file or directory"
)


@pytest.mark.parametrize(
    ("job", "is_switched", "tls", "told"),
    [
        (_OVER, False, False, "moved in 2.8 s, stood still for 210 ms"),
        (_OVER, False, True, "moved in 2.8 s, stood still for 210 ms, encrypted"),
        (None, True, False, "moved in 26.4 s by post-copy"),
    ],
)
def test_how_it_went_is_told_also_where_libvirt_has_no_figures(
    job: MigrationJob | None, *, is_switched: bool, tls: bool, told: str
) -> None:
    step = replace(STEP, rules=replace(RULES, tls=tls))

    assert how_it_went(step, job, 26.4, is_switched=is_switched) == told


def test_a_certificate_that_is_missing_is_told_with_both_hosts_and_who_asks_for_it() -> None:
    why = why_stayed(
        replace(STEP, rules=replace(RULES, tls=True)), HostRefused(_NO_FILE, host="h2", hint="see libvirt's log")
    )

    assert why.reason.startswith("migration.tls is on, and h1 or h2 lacks /etc/pki/qemu/ca-cert.pem")
    assert why.hint.endswith("reconciler resume VirtualMachine/web")


def test_what_is_not_about_certificates_is_told_in_libvirts_words() -> None:
    why = why_stayed(STEP, HostRefused(_NO_FILE, host="h2", hint="see libvirt's log"))

    assert (why.reason, why.hint) == (_NO_FILE, "see libvirt's log")
