"""Night log: the observer's report that goes with a raw frame."""

from __future__ import annotations

import re

from msgspec import Struct

_GRADE = re.compile(r"^\s*Grade:\s+([ABCDX_])\b", re.MULTILINE)


class NightLog(Struct, frozen=True):
    """The excerpt of the night log for one frame.

    Parameters
    ----------
    text : str
        As delivered.
    grades : tuple of str
        Grade of each observing block in the excerpt: A and B fulfil the constraints, C does not, D is to be repeated,
        X is aborted, `_` is not graded.
    """

    text: str
    grades: tuple[str, ...]

    @property
    def grade(self) -> str | None:
        """The grade of the last block, which is that of the frame; None where none is given."""
        return self.grades[-1] if self.grades else None


def read_night_log(content: bytes) -> NightLog:
    """Read a night log; bytes that are no UTF-8 are taken for Latin-1, which old logs use."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    return NightLog(text, tuple(_GRADE.findall(text)))
