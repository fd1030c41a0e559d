"""The parts of a batch that decide: the graph, limits, what Slurm's words mean, and what is written down."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from esorex_bridge.batch.ledger import earlier_runs
from esorex_bridge.batch.report import read_report
from esorex_bridge.batch.start import BatchRequest, new_batch
from esorex_bridge.datasets.dataset import Action, Dataset, Purpose
from esorex_bridge.definitions.parameters import Parameter, ParameterSchema
from esorex_bridge.errors import DataError, RecipeError, UserError
from esorex_bridge.esorex.libraries import Linker, libraries_in
from esorex_bridge.esorex.recipe import Recipe
from esorex_bridge.executors.batch_folder import BatchFolder, PackedResults, batches
from esorex_bridge.executors.local import LocalExecutor
from esorex_bridge.executors.slurm import is_quota, standing_of
from esorex_bridge.executors.slurm_requests import grow
from esorex_bridge.executors.task import read_task, task_of
from esorex_bridge.executors.worker import Worker
from esorex_bridge.files import Digest
from esorex_bridge.plan.plan import FileInput, Plan, ProductInput, Step, StepName
from esorex_bridge.reuse.decide import Execute
from esorex_bridge.reuse.key import InputStatement, Statement, StepKey
from esorex_bridge.reuse.record import Product, Record
from esorex_bridge.reuse.resolve import ResolvedPlan
from esorex_bridge.run.capacity import Capacity, Limits
from esorex_bridge.run.executor import (
    EngineBusyError,
    EngineError,
    Phase,
    Shortage,
    TaskRequest,
    TaskStatus,
    Ticket,
)
from esorex_bridge.run.graph import Graph, Node, NodeState
from esorex_bridge.run.result import StepResult, read_result
from esorex_bridge.run.schedule import Schedule, run_to_end
from esorex_bridge.settings import Settings

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
        ("CANCELLED", "Dependency", Phase.CANCELLED),
        ("FAILED", "BadConstraints", Phase.REFUSED),
        ("CANCELLED", "DependencyNeverSatisfied", Phase.UNMET),
    ],
)
def test_what_slurm_says_of_a_job_means(state: str, reason: str, phase: Phase) -> None:
    assert standing_of(state, reason).phase is phase


@pytest.mark.parametrize(
    ("said", "others", "quota"),
    [
        (
            "QOSMaxSubmitJobPerUserLimit; Batch job submission failed: Job violates accounting/QOS policy (…)",
            False,
            True,
        ),
        ("Batch job submission failed: Job violates accounting/QOS policy (job submit limit, …)", True, True),
        ("Batch job submission failed: Job violates accounting/QOS policy (job submit limit, …)", False, False),
        ("QOSMaxMemoryPerJob; Batch job submission failed: Job violates accounting/QOS policy (…)", True, False),
        ("Slurm temporarily unable to accept job, sleeping and retrying", False, True),
        ("Batch job submission failed: Requested node configuration is not available", True, False),
    ],
)
def test_a_quota_is_told_from_a_refusal(said: str, others: bool, quota: bool) -> None:
    assert is_quota(said, others) is quota


def test_a_step_gets_more_of_what_it_lacked_up_to_the_ceiling() -> None:
    assert [grow(100, times, 250, "memory_mb") for times in (0, 1, 2)] == [100, 200, 250]
    assert grow(None, 0, None, "minutes") is None
    with pytest.raises(EngineError, match=r"250 .* was not enough, and the site file allows no more"):
        grow(100, 3, 250, "memory_mb")
    with pytest.raises(EngineError, match="give minutes in the site file"):
        grow(None, 1, None, "minutes")


class ScriptedExecutor:
    """Answers each submission with the next of some statuses, or refuses."""

    keeps_order = True
    room = 10

    def __init__(self, *answers: TaskStatus | EngineError) -> None:
        self._answers = list(answers)
        self._changes: dict[Ticket, TaskStatus] = {}
        self.requests: list[TaskRequest] = []

    def submit(self, order: TaskRequest, after: Sequence[Ticket] = ()) -> Ticket:
        self.requests.append(order)
        answer = self._answers.pop(0)
        if isinstance(answer, EngineError):
            raise answer
        ticket = Ticket(str(len(self.requests)))
        self._changes[ticket] = answer
        return ticket

    def states(self, patience_s: float) -> dict[Ticket, TaskStatus]:
        changes, self._changes = self._changes, {}
        return changes

    def adopt(self, ticket: Ticket, order: TaskRequest) -> None: ...

    def cancel(self, tickets: Sequence[Ticket]) -> None: ...

    def close(self) -> None: ...


class Told:
    """Keeps what a schedule tells, and goes on after a failure."""

    def __init__(self) -> None:
        self.failures: list[str] = []
        self.losses = 0

    def submitted(self, node: Node) -> None: ...

    def begun(self, node: Node) -> None: ...

    def made(self, node: Node, result: StepResult, record: Record) -> None: ...

    def failed(self, node: Node, result: StepResult | None) -> None:
        self.failures.append(node.error)

    def blocked(self, node: Node) -> None: ...

    def lost(self, node: Node, why: str, again: bool) -> None:
        self.losses += 1

    def go_on(self, node: Node) -> bool:
        return True


LOST, UNMET = TaskStatus(Phase.LOST, "gone"), TaskStatus(Phase.UNMET)
OUT_OF_TIME = TaskStatus(Phase.LOST, "its time was up", Shortage.TIME)


@pytest.mark.parametrize(
    ("answers", "grown_by", "losses"),
    [
        ([LOST, LOST, LOST], [0, 0, 0], 3),  # two tries more
        ([OUT_OF_TIME, LOST, OUT_OF_TIME], [0, 1, 1], 3),
        ([UNMET, UNMET, UNMET, UNMET, LOST, LOST, LOST], [0] * 7, 3),  # what never began was not lost
        ([LOST, EngineBusyError("quota"), EngineError("no")], [0, 0, 0], 1),
    ],
)
def test_losses_count_and_grow_apart_from_submissions(
    answers: list[TaskStatus | EngineError], grown_by: list[int], losses: int
) -> None:
    executor, told = ScriptedExecutor(*answers), Told()
    schedule = Schedule(executor, lambda key: None, told, retries=2)
    plan = foreseen(step(DARK))
    schedule.add(plan, (Execute(plan.plan.steps[0], "new"),))
    run_to_end(schedule, 0)
    assert [request.out_of_time for request in executor.requests] == grown_by
    assert told.losses == losses
    assert len(told.failures) == 1


def test_what_was_cancelled_by_the_means_of_the_engine_is_remembered_and_what_the_batch_cancelled_is_not(
    tmp_path: Path,
) -> None:
    folder = BatchFolder(tmp_path)
    common = {"at": "2026-01-01T00:00:00.000000Z", "event": "cancelled"}
    folder.note(
        "events", {**common, "key": "a", "error": "by hand", "final": True}, {**common, "key": "b", "error": ""}
    )
    assert earlier_runs(folder).given_up == {"a": (NodeState.CANCELLED, "by hand")}


def test_steps_begin_as_processors_and_memory_allow(tmp_path: Path) -> None:
    folder = BatchFolder(tmp_path / "root" / "books" / "batches" / "b")
    folder.begin({}, "")
    executor = LocalExecutor(folder.path, Capacity(Limits(4, 1000)))
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
        workers = [Path("/proc", str(worker.process.pid)) for worker in executor._busy.values()]
    finally:
        executor.close()
    assert workers and not any(worker.exists() for worker in workers)


def test_a_task_and_a_result_are_read_as_they_were_written() -> None:
    plan = foreseen(step(DARK), step(FLAT, DARK))
    task = task_of(
        plan, Execute(plan.plan.steps[1], "new", "forced"), "/usr/bin/esorex", frozenset({"/data/flat.fits"})
    )
    again = read_task(task.document(), "x")
    assert again == task
    assert again.resolve().parameters[FLAT] == (PARAMETER,)
    assert again.unverified == ("/data/flat.fits",)
    earlier = json.loads(task.document())
    earlier["step"]["inputs"][1] |= {"drop": [], "renamed": [], "optional": False}
    del earlier["how"], earlier["step"]["associations"], earlier["step"]["raw_associations"], earlier["recipe"]["cpl"]
    assert read_task(json.dumps(earlier), "an earlier version's") == replace(task, how="unless_there")
    record = Record(task.key, (Product("/p.fits", "M", Digest("sha256:bb"), 7),), 1.5, "2026", "/s.sof", ("w",))
    result = StepResult(
        task.key, 2, "made", record, "", "node7", 2.5, {"/data/flat.fits": Digest("sha256:cc")}, Path("/f")
    )
    assert read_result(result.document()) == result


def test_what_is_half_written_or_of_another_version_is_not_believed(tmp_path: Path) -> None:
    assert read_result("") is None
    assert read_result('{"version": 1, "key": "a"') is None
    assert read_result('{"version": 99}') is None
    with pytest.raises(DataError, match="another version"):
        read_task('{"version": 99}', "x")
    folder = BatchFolder(tmp_path / "root" / "books" / "batches" / "b")
    folder.begin({"made": "now"}, "")
    (folder.path / "events.jsonl").write_text('{"at": "t", "event": "begun", "run": 1}\n{"at": "t", "ev')
    assert earlier_runs(folder).runs == 1
    assert read_report(folder).state == "interrupted"
    with pytest.raises(UserError, match="there are: b"):
        read_report(BatchFolder(folder.path.with_name("other")))


def test_results_are_packed_when_recorded_and_found_by_whoever_looks(tmp_path: Path) -> None:
    folder = BatchFolder(tmp_path / "root" / "reflex_book_keeping" / "batches" / "b")
    folder.begin({}, "")
    keys = [StepKey(f"{number:064x}") for number in range(1000)]
    record = Record(keys[0], (), 1.5, "2026-01-01T00:00:00Z", "/data/sof")
    looking = PackedResults(folder.packed)
    for key in keys:
        folder.write_result(StepResult(key, 1, "made", replace(record, key=key)))
    folder.write_result(StepResult(StepKey("f" * 64), 1, "failed", error="exit code 1"))
    assert looking.find(keys[0]) is None
    folder.pack_results(keys[:10])
    assert folder.result(keys[0]) is None
    assert looking.find(keys[9]) == StepResult(keys[9], 1, "made", replace(record, key=keys[9]))
    with folder.packed.open("a") as stream:
        stream.write('{"key":"cut off')
    folder.pack_results([*keys[10:], StepKey("f" * 64)])
    assert looking.find(keys[999]) is not None
    assert folder.result_keys() == {"f" * 64}, "what failed stays as it is"
    assert [result.key for result in folder.results()] == [*keys, "f" * 64]
    assert sum(path.is_file() for path in folder.path.rglob("*")) <= 20


def test_tasks_are_found_by_their_place_and_those_of_version_0_2_by_their_key(tmp_path: Path) -> None:
    folder = BatchFolder(tmp_path / "root" / "reflex_book_keeping" / "batches" / "b")
    folder.begin({}, "")
    ahead = foreseen(step(DARK), step(FLAT, DARK))
    tasks = [task_of(ahead, Execute(each, "new"), "esorex") for each in ahead.plan.steps]
    places = [folder.write_task(task) for task in tasks]
    assert [folder.task(task.key, place) for task, place in zip(tasks, places, strict=True)] == tasks
    assert folder.places_of({tasks[1].key}) == {tasks[1].key: places[1]}
    old = folder.path / "tasks" / tasks[0].key[:2] / f"{tasks[0].key}.json"
    old.parent.mkdir(parents=True)
    old.write_text(tasks[0].document())
    assert folder.task(tasks[0].key, None) == tasks[0]
    result = StepResult(tasks[0].key, 1, "failed", error="exit code 1")
    left = folder.path / "results" / result.key[:2] / f"{result.key}.json"
    left.parent.mkdir(parents=True)
    left.write_text(result.document())
    assert folder.result(result.key) == result
    assert folder.result_keys() == {result.key}
    folder.forget_result(result.key)
    assert folder.result_keys() == set()


@pytest.mark.parametrize("numbered", [True, False])
def test_batches_that_begin_at_once_are_told_apart(tmp_path: Path, numbered: bool) -> None:
    asked, begun, refused = BatchRequest(Settings(root=tmp_path)), [], []
    at_once = threading.Barrier(8)

    def begin() -> None:
        at_once.wait()
        try:
            begun.append(new_batch(tmp_path, "night", "jobs: [{datasets: all}]", asked, numbered).name)
        except UserError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if numbered:
        assert sorted(begun) == ["night", *(f"night-{number}" for number in range(2, 9))]
    else:
        assert begun == ["night"]
        assert len(refused) == 7
        assert "there is a batch 'night' already" in refused[0]
    made = batches(tmp_path / "reflex_book_keeping" / "batches")
    assert sorted(folder.name for folder in made) == sorted(begun)
    assert {folder.jobs.read_text() for folder in made} == {"jobs: [{datasets: all}]"}
    assert len(list(made[0].path.parent.iterdir())) == len(begun)


def test_notes_of_many_threads_do_not_mix(tmp_path: Path) -> None:
    folder = BatchFolder(tmp_path / "b")
    folder.begin({}, "")
    threads = [
        threading.Thread(target=lambda n=n: [folder.note("events", {"n": n, "x": "y" * 3000}) for _ in range(50)])
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(folder.read_notes("events"))) == 200


def test_a_worker_refuses_to_run_a_recipe_with_other_libraries(tmp_path: Path, esorex: str) -> None:
    (plugin,) = Path("/usr/lib").glob("*/cpl/plugins/naco-*/naco_img_dark.so")
    known = libraries_in(Linker(os.environ).find(esorex, str(plugin)))
    installed = replace(RECIPE, plugin_path=plugin, libraries=known.stated)
    ahead = foreseen(step(DARK))
    own = task_of(replace(ahead, recipes={RECIPE.name: installed}), Execute(ahead.plan.steps[0], "new"), esorex)
    worker = Worker(BatchFolder(tmp_path))
    worker._refuse_other_libraries(replace(own, statement=replace(own.statement, libraries=known.stated)))
    others = tuple((name, "sha256:0" if name.startswith("libnaco") else content) for name, content in known.stated)
    with pytest.raises(RecipeError, match=r"libnaco\.so\.0 on .* not the libraries that the batch was planned with"):
        worker._refuse_other_libraries(replace(own, statement=replace(own.statement, libraries=others)))
