#!/bin/sh
# Installs EsoRex and the pipelines that Debian packages, where they are missing and we may. Never fails: what is
# missing is said, and everything that does not need it goes on.
set -u
say() { echo "setup: $*"; }
pipelines="naco hawki visir uves vimos giraf muse amber"

missing=""
command -v esorex >/dev/null 2>&1 || missing="esorex"
for name in $pipelines; do
    ls -d /usr/lib/*/cpl/plugins/"$name"-* >/dev/null 2>&1 || missing="$missing cpl-plugin-$name"
done
link_swarp() { sh "$(dirname "$0")/swarp.sh"; }
[ -n "$missing" ] || { link_swarp; exit 0; }

if ! command -v apt-get >/dev/null 2>&1; then
    say "not installed: $missing. There is no apt-get here: install EsoRex and the pipelines by your system's means (https://www.eso.org/pipelines)"
elif [ "$(id -u)" != 0 ]; then
    say "not installed: $missing. To install: sudo apt-get install $missing"
else
    say "installing $missing"
    apt-get update -qq
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $missing >/dev/null || say "apt-get could not install all of: $missing"
fi
link_swarp
exit 0
