"""Programs that tests write: the first lines by which the system starts them with this Python, wherever it lies."""

from __future__ import annotations

import sys


def first_lines(*options: str) -> str:
    """Return the head of a script; as pip's: the kernel takes no blanks in the path of an interpreter."""
    words = " ".join((f'"{sys.executable}"', *options))
    return f"#!/bin/sh\n'''exec' {words} \"$0\" \"$@\"\n' '''\n"
