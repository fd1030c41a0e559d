#!/bin/sh
# Installs the public validator of RO-Crates into an environment of its own, for the tests alone: validator.sh VENV.
# It wants an older rich than our tools do. Never fails: without it the tests that use it are skipped, and say so.
set -u
say() { echo "setup: $*"; }
folder=$1/validator

[ -x "$folder/bin/rocrate-validator" ] && exit 0
say "installing the validator of RO-Crates into $folder (for the tests)"
"$1/bin/python" -m venv --clear "$folder" &&
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check 'roc-validator>=0.13' 'rocrate>=0.16' ||
    { say "the validator could not be installed; its tests are skipped"; rm -rf "$folder"; }
exit 0
