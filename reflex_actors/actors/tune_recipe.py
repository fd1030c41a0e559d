"""x"""
from reflex_actors.protocol import Actor, Inputs, Port
from typing import Any
ACTOR = Actor("tune_recipe", "x", (Port("in_sof"),), (Port("out_sof"),))
def work(inputs: Inputs) -> dict[str, Any]:
    """x"""
    return {}
