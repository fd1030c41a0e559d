#!/bin/sh
# Makes the virtual environment with the bridge and its tools: environment.sh PYTHON FOLDER
set -eu
python=$1
folder=$2
say() { echo "setup: $*"; }

command -v "$python" >/dev/null 2>&1 || { say "no $python found. Install Python 3.11 or newer: apt-get install python3 python3-venv"; exit 1; }
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    say "$python is $("$python" --version 2>&1 | cut -d' ' -f2), but 3.11 or newer is needed. Name another: make PYTHON=python3.12 ..."; exit 1; }

if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        say "installing python3-venv"
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null
    else
        say "this Python has no venv. Install it first: sudo apt-get install python3-venv"; exit 1
    fi
fi
[ -x "$folder/bin/python" ] && "$folder/bin/python" -c 'import pip' 2>/dev/null || { say "making $folder"; "$python" -m venv --clear "$folder"; }
say "installing the bridge into $folder (once; a minute or so)"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check -e '.[dev]'
touch "$folder/.ready"
