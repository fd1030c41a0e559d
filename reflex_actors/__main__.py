"""`python -m reflex_actors NAME …`: run one actor; this is what the installed launchers start."""

from __future__ import annotations

import importlib
import sys

from reflex_actors.actors import NAMES


def start(words: list[str]) -> None:
    """Run the actor that the first word names with the rest, and end the process with its status."""
    from esorex_bridge.errors import BridgeError
    from reflex_actors.protocol import USAGE, main

    if not words or words[0] not in NAMES:
        sys.stderr.write(f"no such actor: {' '.join(words[:1])}; there are: {', '.join(NAMES)}\n")
        sys.exit(USAGE)
    module = importlib.import_module(f"reflex_actors.actors.{words[0]}")
    main(module.ACTOR, module.work, words[1:], (BridgeError,))


if __name__ == "__main__":
    start(sys.argv[1:])
