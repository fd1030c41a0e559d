"""The parts of a batch that decide: the graph, limits, what Slurm's words mean, and what is written down."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from msgspec.structs import replace

from esorex_bridge.batch.ledger import earlier_runs
from esorex_bridge.batch.report import read_report
from esorex_bridge.datasets.dataset import Action, Dataset, Purpose
from esorex_bridge.definitions.parameters import Parameter, ParameterSchema
from esorex_bridge.errors import DataError, RecipeError, UserError
from esorex_bridge.esorex.libraries import find_libraries, libraries_in
from esorex_bridge.esorex.recipe import Recipe
from esorex_bridge.executors.batch_folder import BatchFolder
from esorex_bridge.executors.local import Limits, LocalExecutor
from esorex_bridge.executors.slurm import standing_of
from esorex_bridge.executors.task import read_task, task_of
from esorex_bridge.executors.worker import Worker
from esorex_bridge.files import Digest
from esorex_bridge.plan.plan import FileInput, Plan, ProductInput, Step, StepName
from esorex_bridge.reuse.decide import Execute
from esorex_bridge.reuse.key import InputStatement, Statement, StepKey
from esorex_bridge.reuse.record import Product, Record
from esorex_bridge.reuse.resolve import ResolvedPlan
from esorex_bridge.run.executor import Phase, TaskRequest, Ticket
from esorex_bridge.run.graph import Graph, NodeState
from esorex_bridge.run.result import Result, read_result

RECIPE = Recipe("naco_img_dark", Path("/plugins/naco_img_dark.so"), "naco/4.4.11", Digest("sha256:aa"), ())
PARAMETER = Parameter(ParameterSchema("naco.x.r", "r", "string", "200", ("a",), None, 2.5, "words"), "8 8", "--set")
DARK, FLAT, SCIENCE = (StepName(name) for name in ("dark", "flat", "science"))


def step(name: StepName, *needs: StepName, gaps: tuple[str, ...] = ()) -> Step:
    inputs = (
        FileInput("raw", f"/data/{name}.fits", "RAW"),
        *(ProductInput(need, "MASTER", "MASTER") for need in needs),
    )
    return Step(name, f"{name}_1", RECIPE.name, inputs, (), ("MASTER",), Purpose("P"), gaps=gaps, threads=24)


def foreseen(*steps: Step) -> ResolvedPlan:
    keys = {each.name: StepKey(f"{each.name}".ljust(64, "0")) for each in steps}
    statement = Statement(
        RECIPE.name, RECIPE.pipeline, RECIPE.plugin, (("r", "8 8"),), (InputStatement("RAW", "c", "l"),)
    )
    return ResolvedPlan(
        Dataset("d", "NACO", Action("d", ())), Plan("d", "naco", steps), {RECIPE.name: RECIPE},
        {each.name: (PARAMETER,) for each in steps}, {each.name: statement for each in steps}, keys,
    )  # fmt: skip


def cascade(keeps_order: bool = False, *, dark_gaps: tuple[str, ...] = ()) -> Graph:
    graph = Graph(keeps_order)
    plan = foreseen(step(DARK, gaps=dark_gaps), step(FLAT, DARK), step(SCIENCE, FLAT, DARK))
    graph.add(plan, [Execute(each, "new") for each in plan.plan.steps])
    return graph


def hand_in(graph: Graph) -> list[str]:
    names = []
    for node in graph.ready(10):
        graph.submitted(node, Ticket(node.step.name), node.attempt + 1)
        names.append(str(node.step.name))
    return names


def test_a_step_is_handed_in_when_all_it_needs_is_made() -> None:
    graph = cascade()
    nodes = {node.step.name: node for node in graph.nodes.values()}
    assert hand_in(graph) == ["dark"]
    assert hand_in(graph) == []
    graph.made(nodes[DARK])
    assert hand_in(graph) == ["flat"]
    graph.made(nodes[FLAT])
    assert hand_in(graph) == ["science"]
    graph.made(nodes[SCIENCE])
    assert graph.settled


def test_an_engine_that_keeps_the_order_gets_all_at_once_with_what_each_comes_after() -> None:
    graph = cascade(keeps_order=True)
    nodes = {node.step.name: node for node in graph.nodes.values()}
    assert hand_in(graph) == ["dark", "flat", "science"]
    assert graph.after(nodes[SCIENCE]) == ("dark", "flat")
    graph.again(nodes[DARK])
    graph.again(nodes[FLAT])
    assert hand_in(graph) == ["dark", "flat"]
    graph.made(nodes[DARK])
    assert graph.after(nodes[SCIENCE]) == ("flat",)


def test_what_failed_blocks_what_needs_it_and_nothing_else() -> None:
    graph = cascade()
    nodes = {node.step.name: node for node in graph.nodes.values()}
    hand_in(graph)
    graph.fail(nodes[DARK], NodeState.FAILED, "no")
    blocked = graph.release(nodes[DARK])
    assert {node.step.name for node in blocked} == {FLAT, SCIENCE}
    assert nodes[FLAT].error == "dark was not made"
    assert graph.settled


def test_a_step_with_a_gap_is_blocked_from_the_start() -> None:
    graph = cascade(dark_gaps=("a file is missing",))
    assert [node.error for node in graph.nodes.values()] == [
        "a file is missing",
        "dark was not made",
        "flat was not made; dark was not made",
    ]
    assert graph.settled


def test_a_step_that_two_datasets_need_is_one_node() -> None:
    graph = Graph(False)
    plan = foreseen(step(DARK))
    assert len(graph.add(plan, [Execute(plan.plan.steps[0], "new")])) == 1
    assert graph.add(plan, [Execute(plan.plan.steps[0], "new")]) == ()


@pytest.mark.parametrize(
    ("state", "reason", "phase"),
    [
        ("PENDING", "Dependency", Phase.WAITING),
        ("RUNNING", "None", Phase.RUNNING),
        ("COMPLETED", "None", Phase.ENDED),
        ("FAILED", "NonZeroExitCode", Phase.ENDED),
        ("TIMEOUT", "TimeLimit", Phase.LOST),
        ("NODE_FAIL", "None", Phase.LOST),
        ("OUT_OF_MEMORY", "OutOfMemory", Phase.LOST),
        ("CANCELLED", "None", Phase.CANCELLED),
        ("CANCELLED", "DependencyNeverSatisfied", Phase.UNMET),
    ],
)
def test_what_slurm_says_of_a_job_means(state: str, reason: str, phase: Phase) -> None:
    assert standing_of(state, reason).phase is phase


def test_steps_begin_as_processors_and_memory_allow(tmp_path: Path) -> None:
    folder = BatchFolder(tmp_path / "root" / "books" / "batches" / "b")
    folder.begin({})
    executor = LocalExecutor(folder.path, Limits(4, 1000))
    try:
        orders = [
            TaskRequest(StepKey("a" * 64), "a", threads=3, memory_mb=600),
            TaskRequest(StepKey("b" * 64), "b", threads=3),
            TaskRequest(StepKey("c" * 64), "c", memory_mb=600),
            TaskRequest(StepKey("d" * 64), "d", memory_mb=300),
        ]
        for order in orders:
            executor.submit(order)
        begun = [ticket[0] for ticket, standing in executor.states(0.0).items() if standing.phase is Phase.RUNNING]
        assert begun == ["a", "d"], "b finds no processors, c no memory"
    finally:
        executor.close()
    assert executor.processes == ()


def test_a_task_and_a_result_are_read_as_they_were_written() -> None:
    plan = foreseen(step(DARK), step(FLAT, DARK))
    task = task_of(
        plan, Execute(plan.plan.steps[1], "new", "forced"), "/usr/bin/esorex", frozenset({"/data/flat.fits"})
    )
    again = read_task(task.document(), "x")
    assert again == task
    assert again.resolved().parameters[FLAT] == (PARAMETER,)
    assert again.unverified == ("/data/flat.fits",)
    record = Record(task.key, (Product("/p.fits", "M", Digest("sha256:bb"), 7),), 1.5, "2026", "/s.sof", ("w",))
    result = Result(task.key, 2, "made", record, "", "node7", 2.5, {"/data/flat.fits": Digest("sha256:cc")}, Path("/f"))
    assert read_result(result.document()) == result


def test_what_is_half_written_or_of_another_version_is_not_believed(tmp_path: Path) -> None:
    assert read_result("") is None
    assert read_result('{"version": 1, "key": "a"') is None
    assert read_result('{"version": 99}') is None
    with pytest.raises(DataError, match="another version"):
        read_task('{"version": 99}', "x")
    folder = BatchFolder(tmp_path / "root" / "books" / "batches" / "b")
    folder.begin({"made": "now"})
    (folder.path / "events.jsonl").write_text('{"at": "t", "event": "begun", "run": 1}\n{"at": "t", "ev')
    assert earlier_runs(folder).runs == 1
    assert read_report(folder).state == "interrupted"
    with pytest.raises(UserError, match="there are: b"):
        read_report(BatchFolder(folder.path.with_name("other")))


def test_notes_of_many_threads_do_not_mix(tmp_path: Path) -> None:
    folder = BatchFolder(tmp_path / "b")
    folder.begin({})
    threads = [
        threading.Thread(target=lambda n=n: [folder.note("events", {"n": n, "x": "y" * 3000}) for _ in range(50)])
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(folder.noted("events"))) == 200


def test_a_worker_refuses_to_run_a_recipe_with_other_libraries(tmp_path: Path, esorex: str) -> None:
    (plugin,) = Path("/usr/lib").glob("*/cpl/plugins/naco-*/naco_img_dark.so")
    known = libraries_in(find_libraries(esorex, str(plugin), os.environ))
    installed = replace(RECIPE, plugin_path=plugin, libraries=known.stated)
    ahead = foreseen(step(DARK))
    own = task_of(replace(ahead, recipes={RECIPE.name: installed}), Execute(ahead.plan.steps[0], "new"), esorex)
    worker = Worker(BatchFolder(tmp_path))
    worker._refuse_other_libraries(replace(own, statement=replace(own.statement, libraries=known.stated)))
    others = tuple((name, "sha256:0" if name.startswith("libnaco") else content) for name, content in known.stated)
    with pytest.raises(RecipeError, match=r"libnaco\.so\.0 on .* not the libraries that the batch was planned with"):
        worker._refuse_other_libraries(replace(own, statement=replace(own.statement, libraries=others)))
