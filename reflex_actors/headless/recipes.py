"""RecipeExecuter and RecipeLooper: what goes to a recipe, what comes of it, and how often."""

from __future__ import annotations

import re
from collections.abc import Iterable
from concurrent.futures import Future
from typing import ClassVar

from esorex_bridge.errors import BridgeError
from reflex_actors.headless.files import together
from reflex_actors.headless.network import RunningActor
from reflex_actors.headless.running import Firing, RecipeRequest, RecipeResult, Running, pairs
from reflex_actors.headless.tokens import Parameters, WorkflowError, after, first, flag_of, parameters_of
from reflex_actors.moml.model import recipe_of
from reflex_actors.purposes import STRIP_LAST, after_recipe, patterns_of
from reflex_actors.sof_json import FitsFile, RecipeParameter, SetOfFiles, parameter, value_text

FROM_PORT = "PORT"
"""Value of a parameter that is taken from `sop in`."""

OUTPUTS = ("sof out", "sop out", "rejected inputs", "rejected outputs", "logs", "warnings", "errors")


class RecipeExecuter:
    """Runs one recipe."""

    def __init__(self, node: RunningActor, run: Running) -> None:
        self._node, self._run = node, run
        self._recipe = recipe_of(node.entity)

    def __call__(self) -> None:
        """Fire."""
        node = self._node
        sof = together(node.take("sof in"), self._run)
        given = [each for token in node.take("sop in") for each in parameters_of(token).listed]
        taken, rejected = by_category(sof, node.text("Input Files Category"))
        node.send("rejected inputs", rejected)
        request = RecipeRequest(node.name, self._recipe, in_sof_order(taken), self._parameters(given))
        mode = node.text("mode", "Run")
        if mode == "Skip":
            self._answer_at_once(request, "skipped", request.sof)
        elif mode == "Disabled":
            self._answer_at_once(request, "disabled", taken.with_files(()))
        elif not taken.files and node.flag("Allow empty inputs"):
            self._answer_at_once(request, "empty", taken)
        else:
            self._start(request)

    def _parameters(self, given: list[RecipeParameter]) -> tuple[RecipeParameter, ...]:
        from_port = {each.display_name: each.value for each in given if each.recipe == self._recipe}
        found = []
        for name, value in written_parameters(self._node):
            if value != FROM_PORT:
                found.append(parameter(self._recipe, name, value))
            elif name in from_port:
                found.append(parameter(self._recipe, name, from_port[name]))
        return tuple(found)

    def _answer_at_once(self, request: RecipeRequest, outcome: str, sof: SetOfFiles) -> None:
        kept, dropped = by_category(sof, self._node.text("Output Files Category"))
        self._run.account.begin(_firing(self._node, request, outcome))
        self._send(kept, dropped, Parameters(request.parameters), "")

    def _start(self, request: RecipeRequest) -> None:
        node, account = self._node, self._run.account
        number = account.begin(_firing(node, request, "failed"))
        stops = node.text("Recipe Failure Mode", "Stop") != "Continue"
        purposes = after_recipe(request.sof.purposes, node.text("File Purpose Processing", STRIP_LAST))
        categories = node.text("Output Files Category")

        def work() -> tuple[SetOfFiles, SetOfFiles, RecipeResult]:
            try:
                if not request.sof.files:
                    raise WorkflowError("the set of files is empty after filtering; check the input filter tags")
                result = self._run.recipes.run(request)
            except BridgeError as error:
                account.end(number, "failed", reason=str(error))
                if stops:
                    raise WorkflowError(f"{node.path}: {error}") from error
                result = RecipeResult((), request.parameters, "failed")
            made = (FitsFile(file.name, file.category, purposes, file.checksum) for file in result.products)
            kept, dropped = by_category(request.sof.with_files(made), categories)
            if result.outcome != "failed":
                account.end(number, result.outcome, kept)
            return kept, dropped, result

        future = self._run.pool.submit(work)
        self._run.started.append(future)
        self._promise(future)

    def _promise(self, future: Future[tuple[SetOfFiles, SetOfFiles, RecipeResult]]) -> None:
        node = self._node
        node.send("sof out", after(future, lambda done: done[0]))
        node.send("rejected outputs", after(future, lambda done: done[1]))
        node.send("sop out", after(future, lambda done: Parameters(done[2].parameters)))
        node.send("logs", after(future, lambda done: done[2].log))
        node.send("warnings", after(future, lambda done: _lines(done[2].log, "[WARNING]")))
        node.send("errors", after(future, lambda done: _lines(done[2].log, "[ ERROR ]")))

    def _send(self, sof: SetOfFiles, dropped: SetOfFiles, parameters: Parameters, log: str) -> None:
        for port, token in zip(OUTPUTS, (sof, parameters, None, dropped, log, log, log), strict=True):
            if token is not None:
                self._node.send(port, token)


def written_parameters(node: RunningActor) -> tuple[tuple[str, str], ...]:
    """Return the parameters that the file sets for a recipe, with their values or `PORT`."""
    numbered = [name for name in node.variables.names() if re.fullmatch(r"recipe_param_\d+", name)]
    texts = (node.text(name) for name in sorted(numbered, key=lambda name: int(name.rpartition("_")[2])))
    return tuple((text.partition("=")[0], text.partition("=")[2]) for text in texts if "=" in text)


def in_sof_order(sof: SetOfFiles) -> SetOfFiles:
    """Return a set in the order in which RecipeExecuter writes it: by category, then by name."""
    return sof.with_files(sorted(sof.files, key=lambda file: (file.category, file.name)))


def by_category(sof: SetOfFiles, categories: str) -> tuple[SetOfFiles, SetOfFiles]:
    """Return the files of some categories, and the others; all where none is named."""
    wanted = patterns_of(categories)
    kept = [file for file in sof.files if not wanted or file.category in wanted]
    return sof.with_files(kept), sof.with_files(file for file in sof.files if wanted and file.category not in wanted)


def _firing(node: RunningActor, request: RecipeRequest, outcome: str) -> Firing:
    return Firing(
        actor=node.path,
        dataset=request.sof.dataset,
        outcome=outcome,
        recipe=request.recipe,
        purposes=request.sof.purposes,
        sof=pairs(request.sof),
        parameters={each.display_name: value_text(each.value) for each in request.parameters},
    )


def _lines(log: str, mark: str) -> str:
    return "\n".join(line for line in log.splitlines() if mark in line)


class RecipeLooper:
    """Hands files and parameters to a recipe, and again as long as the actor after it says so."""

    _WANTED: ClassVar = {
        "first": ("sof in", "sop in"),
        "verdict": ("iteration complete",),
        "again": ("sof loop", "sop loop"),
    }

    def __init__(self, node: RunningActor, run: Running) -> None:
        self._node = node
        self._wait_for("first")

    def __call__(self) -> None:
        """Fire."""
        if self._state == "verdict":
            done = flag_of(first(self._node.take("iteration complete")))
            self._wait_for("first" if done else "again")
            return
        files, parameters = self._WANTED[self._state]
        self._hand_on(files, "sof out")
        self._hand_on(parameters, "sop out")
        self._wait_for("verdict")

    def _hand_on(self, source: str, target: str) -> None:
        for token in self._node.take(source):
            self._node.send(target, token)

    def _wait_for(self, state: str) -> None:
        self._state = state
        for ports in self._WANTED.values():
            self._rate(ports, 0)
        self._rate(self._WANTED[state], 1)

    def _rate(self, ports: Iterable[str], number: int) -> None:
        for port in ports:
            self._node.rate(port, number)
