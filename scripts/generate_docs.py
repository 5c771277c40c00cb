"""Write the generated pages of docs/ and specs/schema.json from the models; with --check only say what is stale."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from reconciler.cli.change_table import change_table
from reconciler.cli.config_reference import configuration_reference
from reconciler.cli.man_pages import commands_page, configuration_page
from reconciler.daemon.metrics.reference import metrics_reference
from reconciler.specfiles.json_schema import schema
from reconciler.specfiles.reference import error_reference, spec_reference

_ROOT = Path(__file__).resolve().parent.parent


def generated() -> dict[Path, str]:
    """The text of every generated file."""
    return {
        _ROOT / "docs/SPEC.md": f"{spec_reference()}\n{change_table()}\n",
        _ROOT / "docs/ERRORS.md": error_reference(),
        _ROOT / "docs/CONFIGURATION.md": configuration_reference(),
        _ROOT / "docs/METRICS.md": metrics_reference(),
        _ROOT / "packaging/man/reconciler.1": commands_page(),
        _ROOT / "packaging/man/reconciler-config.5": configuration_page(),
        _ROOT / "specs/schema.json": json.dumps(schema(), indent=1, ensure_ascii=False) + "\n",
    }


def main() -> int:
    """Return 1 if a file was stale and only to be checked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    stale = {path: text for path, text in generated().items() if not path.exists() or path.read_text() != text}
    for path, text in stale.items():
        print(f"{'stale' if check else 'written'}: {path.relative_to(_ROOT)}")
        if not check:
            path.write_text(text)
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
