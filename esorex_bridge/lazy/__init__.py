"""The command `esorex-lazy`: a stand-in for `esorex` that gives back products instead of making them again.

It takes the arguments of `esorex`, leaves the same files in the same places and ends with the same exit code. A run of
a recipe whose content-based key is known gets its products from a store; whatever is not such a run, or is in any
doubt, becomes the real EsoRex by `execv`. That decision is made here, by looks at the words alone, with nothing
imported that takes time: every call of `esorex --version` pays for it.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_ASKS = frozenset(
    f"--{word}" for word in ("help", "version", "recipes", "params", "man-page", "create-config", "show-hidden")
)
"""Options that ask EsoRex something instead of running a recipe."""


def main() -> int:
    """Run one command line of `esorex`; where it is left to the real EsoRex, this does not return."""
    from esorex_bridge.lazy.real import become, find_real, is_called_by_itself

    words = sys.argv[1:]
    real = find_real(os.environ, sys.argv[0])
    if real is None:
        print(
            "esorex-lazy: there is no esorex on PATH besides esorex-lazy itself; install EsoRex or set "
            "ESOREX_LAZY_ESOREX to its path",
            file=sys.stderr,
        )
        return 127
    if os.environ.get("ESOREX_LAZY") == "off" or is_called_by_itself(os.environ) or not runs_recipe(words):
        become(real, words)
    from esorex_bridge.lazy.run import carry_out

    return carry_out(real, words)


def runs_recipe(words: Sequence[str]) -> bool:
    """Tell whether a command line looks like the run of a recipe on a set of files."""
    at = next((index for index, word in enumerate(words) if not word.startswith("-")), None)
    if at is None or any(word.partition("=")[0] in _ASKS for word in words[:at]):
        return False
    return any(not word.startswith("-") for word in words[at + 1 :])
