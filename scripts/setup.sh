#!/usr/bin/env bash
# Set up this checkout on Debian 12: Debian packages (with apt-get, the only thing touched outside) and .venv.
# Does only what is missing; says nothing when nothing is. Safe to interrupt and to run again.
set -euo pipefail
cd "$(dirname "$0")/.."

packages_file=packaging/debian-packages.txt
logs=.cache/setup
began=$SECONDS

say() { printf 'setup %3d s  %s\n' $((SECONDS - began)) "$*" >&2; }

fail() {
    printf 'setup: %s\n' "$@" >&2
    exit 1
}

# run LOG COMMAND...: quiet when all goes well, the end of its output when not.
run() {
    local log=$logs/$1
    shift
    "$@" >"$log" 2>&1 </dev/null 9>&- && return
    tail -n 25 "$log" >&2
    fail "failed: $*" "the whole output: $log"
}

missing_packages() {
    local wanted installed
    wanted=$(awk '!/^#/ && NF { print $1 }' "$packages_file" | sort -u)
    # shellcheck disable=SC2016,SC2086
    installed=$(dpkg-query --show --showformat='${db:Status-Status} ${Package}\n' $wanted 2>/dev/null |
        awk '$1 == "installed" { print $2 }' | sort -u)
    comm -23 <(echo "$wanted") <(echo "$installed")
}

# The lab starts daemons of its own: apt must not start the machine's. Debian asks this file before it starts any.
# It forbids only while this very script runs, so it does no harm if a kill -9 leaves it behind.
forbid_daemon_starts() {
    local policy=/usr/sbin/policy-rc.d
    [ ! -e "$policy" ] || return 0
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    printf '#!/bin/sh\n[ ! -d /proc/%d ] || exit 101\n' $$ >"$policy"
    chmod 755 "$policy"
}

install_packages() {
    local missing
    missing=$(missing_packages)
    [ -n "$missing" ] || return 0
    # shellcheck disable=SC2086
    set -- $missing
    [ "$(id -u)" = 0 ] || fail "only root can install the Debian packages that are missing. As root, run:" \
        "  apt-get install --no-install-recommends $*" "and then this again."
    say "installing Debian packages: $*"
    forbid_daemon_starts
    export DEBIAN_FRONTEND=noninteractive
    run apt-update.log apt-get update
    run apt-install.log apt-get install --yes --no-install-recommends "$@"
    say "Debian packages are installed"
}

# What .venv was made from; it moves when the checkout's place, Python or any input changes.
venv_inputs() {
    { pwd && readlink -f /usr/bin/python3 && cat pyproject.toml constraints.txt; } | sha256sum | cut -d' ' -f1
}

venv_is_made() { [ "$(cat .venv/.made-from 2>/dev/null)" = "$(venv_inputs)" ]; }

make_venv() {
    ! venv_is_made || return 0
    say "installing Python packages into .venv (libvirt-python is compiled: about half a minute)"
    # In the environment, constraints hold for build tools too.
    export PIP_CONSTRAINT=constraints.txt PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
    .venv/bin/python -c '' 2>/dev/null || run venv.log /usr/bin/python3 -m venv --clear .venv
    run pip.log .venv/bin/python -m pip install --editable '.[dev]'
    venv_inputs >.venv/.made-from
    say ".venv is ready"
}

[ "$(uname -s)" = Linux ] && command -v dpkg-query >/dev/null || fail "this sets up Debian 12; see README.md for others"
[ -n "$(missing_packages)" ] || ! venv_is_made || exit 0

mkdir -p "$logs"
exec 9>"$logs/lock"
flock 9
install_packages
make_venv
