"""Text as people read and copy it."""

from __future__ import annotations

import pytest

from reconciler.cli.words import wrapped

RENAME = "virsh -c qemu+ssh://root@host-1.example/system domrename web-1 web-1-foreign"


@pytest.mark.parametrize(
    ("text", "command"),
    [
        (f"if it was renamed, give it its name back: {RENAME}", RENAME),
        (f"look at it, then: {RENAME}, or leave it as it is for now and come back", RENAME),
        (f"`{RENAME}` and `reconciler resume VirtualMachine/web-1` afterwards", RENAME),
        ("the fleet is held by somebody else (reconciler resume VirtualMachine/web-1)", "resume VirtualMachine/web-1"),
    ],
)
@pytest.mark.parametrize("width", [40, 60, 80])
def test_a_command_within_a_text_is_never_broken(text: str, command: str, width: int) -> None:
    lines = wrapped(text, width, "  ")

    assert any(command in line for line in lines)
    assert " ".join(line.strip() for line in lines) == text


def test_prose_after_a_command_is_wrapped_as_ever() -> None:
    text = f"use reconciler pause and {'then wait for a while ' * 8}".strip()

    assert max(map(len, wrapped(text, 40, "  "))) <= 40
