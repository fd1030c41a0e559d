"""x"""
from __future__ import annotations

from typing import Any

from reflex_actors.protocol import Actor, Inputs, Port

ACTOR = Actor(
    "tune_recipe",
    "Shows products and parameters, and runs again where the user wants.",
    (
        Port("in_sof", "products of the recipe just run", kind="sof", short="i", required=True),
        Port("in_sop", "parameters it ran with", kind="sop", short="p", required=True),
        Port("in_sof_rec_orig", "the recipe's original input", kind="sof", short="g", required=True),
        Port("enable", "whether to show anything", kind="flag", short="e", default="false"),
    ),
    (
        Port("out_sof", "products, when the user continues", kind="sof", short="o", silent=True),
        Port("out_sop", "parameters, when the user continues", kind="sop", short="q", silent=True),
        Port("out_sof_loop", "files for the next run", kind="sof", short="f", silent=True),
        Port("out_sop_loop", "parameters for the next run", kind="sop", short="l", silent=True),
        Port("iteration_complete", "true or false", short="c"),
        Port("set_enable", "whether to show anything from now on", short="s", silent=True),
        Port("set_init_sop", "parameters to begin with from now on", kind="sop", short="n", silent=True),
    ),
)


def work(inputs: Inputs) -> dict[str, Any]:
    """x"""
    return {"iteration_complete": "true", "out_sof": inputs.sof("in_sof"), "out_sop": inputs.sop("in_sop")}
