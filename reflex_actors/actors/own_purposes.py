"""`own_purposes`: a step keeps the groups that are its own, where its raw files also serve another step directly."""

from __future__ import annotations

from typing import Any

from reflex_actors.protocol import Actor, Inputs, Port
from reflex_actors.purposes import own_purposes

ACTOR = Actor(
    "own_purposes",
    "Takes away the purposes that other files have.",
    (
        Port("in_sof", "files of a step", kind="sof", required=True),
        Port("others_sof", "main files of the steps that also take them", kind="sof"),
    ),
    (Port("out_sof", "files with the purposes that are the step's own", kind="sof"),),
)


def work(inputs: Inputs) -> dict[str, Any]:
    """Take the purposes away."""
    return {"out_sof": own_purposes(inputs.sof("in_sof"), inputs.sof("others_sof"))}
