"""The graph of `lazy.py`, and the bridge's no-op on it, in a module that loads no more than the bridge does.

    python benchmarks/lazy_graph.py FOLDER STEPS

Prints how many steps would run, and the peak memory in KiB.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from esorex_bridge.process import begin, end, load_msgspec

if TYPE_CHECKING:
    from esorex_bridge.datasets.dataset import Dataset
    from esorex_bridge.errors import RecipeError
    from esorex_bridge.esorex.recipe import Execution, Recipe, RecipeRun
    from esorex_bridge.plan.plan import FileInput, Plan, ProductInput

MASTER_EVERY = 4


@cache
def masters(steps: int) -> int:
    """Return how many of the steps make masters."""
    return max(1, steps // MASTER_EVERY)


def inputs_of(step: int, steps: int) -> list[str]:
    """Return the files a step takes: four raws for a master, one raw and one master's product for the rest."""
    if step < masters(steps):
        return [f"raw_{step * 4 + number}.fits" for number in range(4)]
    return [f"raw_{masters(steps) * 4 + step}.fits", f"product_{step % masters(steps)}.fits"]


def build(folder: Path, steps: int) -> tuple[Dataset, Plan]:
    """Return the dataset and the plan of the graph."""
    from esorex_bridge.datasets.dataset import Action, Dataset, Purpose
    from esorex_bridge.files import DpId
    from esorex_bridge.plan.plan import FileInput, Plan, ProductInput, Step, StepName

    planned = []
    for number in range(steps):
        master = number < masters(steps)
        entries: list[FileInput | ProductInput] = []
        for name in inputs_of(number, steps):
            if name.startswith("raw"):
                entries.append(FileInput(DpId(name), f"{folder}/{name}", "RAW"))
            else:
                entries.append(ProductInput(StepName(f"toy_{name[8:-5]}"), "P", "P"))
        planned.append(
            Step(StepName(f"toy_{number}"), "toy_1", "toy", tuple(entries), (), ("P",), Purpose("X"), target=not master)
        )
    return Dataset("D", "TOY", Action("X", ())), Plan("D", "toy", tuple(planned))


class ToyRunner:
    """Knows one recipe without parameters."""

    def recipes(
        self, names: Iterable[str], asking: Callable[[], None] | None = None
    ) -> dict[str, Recipe | RecipeError]:
        """Return it under every name."""
        from esorex_bridge.esorex.recipe import Recipe
        from esorex_bridge.files import Digest

        return {name: Recipe(name, Path("/toy.so"), "toy/1.0", Digest("sha256:0"), ()) for name in names}

    def execute(self, job: RecipeRun, begun: Callable[[], None] | None = None) -> Execution:
        """Refuse: nothing is to run."""
        raise AssertionError(f"{job.recipe.name} would run, so this is no no-op")

    def stop(self) -> None:
        """Have nothing to end."""


def noop(folder: Path, steps: int) -> int:
    """Decide about every step and return how many would run."""
    from esorex_bridge.run.engine import Engine, resolvable
    from esorex_bridge.store.step_store import open_store
    from esorex_bridge.workspace.folders import Workspace

    with open_store(folder / "books" / "esorex_bridge.db", folder) as store:
        engine = Engine(ToyRunner(), store, Workspace(folder))
        (decided,) = engine.decide(resolvable(engine.resolve((build(folder, steps),))))
    return len(decided.executes)


if __name__ == "__main__":
    begin()  # as the command does
    load_msgspec()
    print(noop(Path(sys.argv[1]), int(sys.argv[2])), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    sys.exit(end(0))
