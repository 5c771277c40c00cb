#!/usr/bin/env bash
# Write constraints.txt anew: the newest versions that pyproject.toml allows, resolved in a virtual environment of its own.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
/usr/bin/python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --editable '.[dev]'
{
    sed -n '/^#/p' constraints.txt
    "$work/venv/bin/python" -m pip freeze --all --exclude-editable --exclude pip
} >"$work/constraints.txt"
diff constraints.txt "$work/constraints.txt" || true
mv "$work/constraints.txt" constraints.txt
