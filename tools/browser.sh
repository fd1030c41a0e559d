#!/bin/sh
# Installs a browser for the tests of pages, where it is missing and we may. Never fails: without it they are skipped.
set -u
say() { echo "setup: $*"; }

for name in chromium chromium-browser google-chrome; do command -v "$name" >/dev/null 2>&1 && exit 0; done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    say "installing chromium (for the tests of pages)"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null || say "chromium could not be installed; tests of pages are skipped"
else
    say "no chromium: tests of pages are skipped. To install: sudo apt-get install chromium"
fi
exit 0
