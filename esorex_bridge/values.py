"""What values look like outside the code, in documents: plain JSON values."""

from __future__ import annotations

from typing import Any

from msgspec import to_builtins


def plain(value: object) -> Any:
    """Return a value as JSON values: structs and mappings as objects, tuples as lists, paths as texts."""
    return to_builtins(value, str_keys=True, enc_hook=str)
