"""x"""
from __future__ import annotations

from typing import Any

from reflex_actors.protocol import Actor, Inputs, Port

ACTOR = Actor("review_association", "Shows what calibrates what.", (Port("data_dir", required=True), Port("root_dir"), Port("enable", kind="flag", default="false")), (Port("out_data_dir"), Port("messages")))


def work(inputs: Inputs) -> dict[str, Any]:
    """x"""
    return {"out_data_dir": inputs.text("data_dir")}
