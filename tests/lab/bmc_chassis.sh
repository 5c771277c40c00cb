#!/bin/sh
# What ipmi_sim runs to learn of a lab host's power, and to switch it:
#   FOLDER PYTHON REPOSITORY get power | set power 0|1 | set reset 1 ...
# `get` is asked often, hence no Python for that.
folder=$1 python=$2 repository=$3 verb=$4 what=$5 value=$6

switch() {
    [ -e "$folder/bmc/lies" ] && exit 0
    cd "$repository" && "$python" -m tests.lab.bmc "$folder" "$1"
}

is_on() {
    [ ! -e "$folder/booting" ] || return 0
    read -r pid <"$folder/pid" && read -r stat <"/proc/$pid/stat" || return 1
    # A killed process that nobody has reaped yet is dead.
    case "${stat##*) }" in [ZX]*) return 1 ;; esac
}

case "$verb $what" in
    "get power") if is_on 2>/dev/null; then echo power:1; else echo power:0; fi ;;
    "get "*) echo "$what:0" ;;
    "set power") if [ "$value" = 1 ]; then switch on; else switch off; fi ;;
    "set reset") switch off && switch on ;;
esac
