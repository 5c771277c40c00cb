"""A secret gets into a text as a value, whatever it consists of, and nowhere else."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from reconciler.credentials.placeholders import Misplaced, check, filled
from reconciler.model.seed_secrets import has_broken_placeholder, placeholders

AWKWARD = "a: 'b' \"c\" #d\n- {e: ${secret:y}}\té\U0001f600\x85%|>"
CONFIG = """\
#cloud-config
# who reads this: ${secret:x}
plain: ${secret:x}
single: 'it''s ${secret:x}'
double: "\\t${secret:x}"
block: |
  first
    ${secret:x}
  last

folded: >-
  ${secret:x}
  and
list: [a, "${secret:x}", {b: "${secret:x}"}]
tagged: !!str &anchor ${secret:x}
"${secret:x}": key
literal: $${secret:x}
after: 1  # comment
"""


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1) | st.just(AWKWARD))
def test_in_yaml_a_secret_is_a_value_whatever_it_consists_of(secret: str) -> None:
    data = yaml.safe_load(filled(CONFIG, {"x": secret}, is_yaml=True))

    assert data == {
        "plain": secret,
        "single": f"it's {secret}",
        "double": f"\t{secret}",
        "block": f"first\n  {secret}\nlast\n",
        "folded": f"{secret} and",
        "list": ["a", secret, {"b": secret}],
        "tagged": secret,
        secret: "key",
        "literal": "${secret:x}",
        "after": 1,
    }


def test_what_has_no_placeholder_stays_as_it_was_written() -> None:
    text = filled(CONFIG, {"x": "y"}, is_yaml=True)

    assert text.startswith("#cloud-config\n# who reads this: ${secret:x}\nplain: ")
    assert text.endswith("\nafter: 1  # comment\n")


def test_in_a_script_a_secret_is_put_in_as_it_is() -> None:
    text = "#!/bin/sh\ntoken=${secret:a.b} $${secret:x} ${other}\n"

    assert filled(text, {"a.b": AWKWARD}, is_yaml=False) == f"#!/bin/sh\ntoken={AWKWARD} ${{secret:x}} ${{other}}\n"


def test_a_text_that_is_one_placeholder_is_the_secret() -> None:
    assert filled("${secret:all}\n", {"all": "#cloud-config\n{}\n"}, is_yaml=True) == "#cloud-config\n{}\n"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("#cloud-config\na: {b: ${secret:x}}\n", 2),
        ("#cloud-config\n\na: [${secret:x}]\n", 3),
        ("#cloud-config\na: b: ${secret:x}\n", 2),
        ("#cloud-config\na: *${secret:x}\n", 2),
        ("#cloud-config\na: &${secret:x} b\n", 2),
    ],
)
def test_a_placeholder_that_yaml_takes_apart_is_refused_by_its_line(text: str, line: int) -> None:
    with pytest.raises(Misplaced) as checked:
        check(text)
    with pytest.raises(Misplaced):
        filled(text, {"x": "geheim"}, is_yaml=True)

    assert checked.value.line == line


def test_names_are_those_of_the_text_without_what_is_meant_literally() -> None:
    text = "${secret:b} ${secret:a} ${secret:b} $${secret:c} ${d} ${secret: e}"

    assert placeholders(text) == ("b", "a")
    assert has_broken_placeholder(text)
    assert not has_broken_placeholder(text.replace("${secret: e}", "$${secret: e}"))
