"""Keys, differences in words, and decisions."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from esorex_bridge.datasets.dataset import Purpose
from esorex_bridge.errors import UserError
from esorex_bridge.files import Digest
from esorex_bridge.plan.plan import Plan, ProductInput, Step, StepName
from esorex_bridge.reuse.decide import Execute, NotNeeded, Policy, Reuse, decide, names_in, refuse_unknown
from esorex_bridge.reuse.explain import difference
from esorex_bridge.reuse.key import InputStatement, Statement, StepKey, read_statement
from esorex_bridge.reuse.record import Absent, Record

NO_POLICY = Policy()

STATEMENT = Statement(
    recipe="toy_dark",
    pipeline="toy/1.0",
    plugin=Digest("sha256:00"),
    parameters=(("toy.toy_dark.r", "4"),),
    inputs=(InputStatement("DARK", "sha256:01", "D.1"), InputStatement("DARK", "sha256:02", "D.2")),
)


def test_names_of_files_are_not_in_the_key_but_their_content_is() -> None:
    renamed = replace(STATEMENT, inputs=tuple(replace(entry, label="other") for entry in STATEMENT.inputs))
    changed = replace(STATEMENT, inputs=(replace(STATEMENT.inputs[0], content="sha256:ff"), STATEMENT.inputs[1]))
    assert renamed.key() == STATEMENT.key()
    assert changed.key() != STATEMENT.key()


def test_everything_that_products_depend_on_is_in_the_key() -> None:
    others = (
        replace(STATEMENT, recipe="other"),
        replace(STATEMENT, pipeline="toy/1.1"),
        replace(STATEMENT, plugin=Digest("sha256:11")),
        replace(STATEMENT, parameters=(("toy.toy_dark.r", "8"),)),
        replace(STATEMENT, inputs=STATEMENT.inputs[:1]),
        replace(STATEMENT, inputs=STATEMENT.inputs[::-1]),
        replace(STATEMENT, inputs=(replace(STATEMENT.inputs[0], category="BIAS"), STATEMENT.inputs[1])),
    )
    assert len({other.key() for other in (STATEMENT, *others)}) == len(others) + 1


def test_a_statement_is_kept_and_read_back() -> None:
    assert read_statement(STATEMENT.document()) == STATEMENT


def test_differences_are_told_in_words() -> None:
    now = Statement(
        "toy_dark", "toy/1.1", Digest("sha256:11"), (("toy.toy_dark.r", "8"),),
        (*STATEMENT.inputs, InputStatement("DARK", "sha256:03", "D.3")),
    )  # fmt: skip
    assert difference(now, STATEMENT) == "pipeline toy/1.0 → toy/1.1; parameter r 4 → 8; 1 DARK more: D.3"
    assert difference(STATEMENT, None) == "no earlier run of this recipe on these data"
    damaged = replace(STATEMENT, inputs=(replace(STATEMENT.inputs[0], content="sha256:ff"), STATEMENT.inputs[1]))
    assert difference(damaged, STATEMENT) == "DARK changed: D.1"
    assert "order" in difference(replace(STATEMENT, inputs=STATEMENT.inputs[::-1]), STATEMENT)
    assert "rebuilt" in difference(replace(STATEMENT, plugin=Digest("sha256:22")), STATEMENT)


def test_a_choice_of_the_user_is_told_as_such() -> None:
    other = replace(STATEMENT, inputs=(STATEMENT.inputs[0], InputStatement("DARK", "sha256:03", "D.3")))
    assert difference(other, STATEMENT, ("D.3",)) == "DARK replaced by review: D.3 for D.2"
    assert difference(other, STATEMENT, ("D.7",)) == "1 DARK more: D.3; 1 DARK fewer: D.2"
    assert difference(other, None, ("D.3",)).startswith("chosen by review: D.3; no earlier run")
    fewer = replace(STATEMENT, inputs=STATEMENT.inputs[:1])
    assert difference(fewer, STATEMENT, ("D.2",)) == "1 DARK fewer by review: D.2"
    damaged = replace(STATEMENT, inputs=(replace(STATEMENT.inputs[0], content="sha256:ff"), STATEMENT.inputs[1]))
    assert difference(damaged, STATEMENT, ("D.1",)) == "DARK changed: D.1"


def step(name: str, *needs: str, target: bool = False) -> Step:
    inputs = tuple(ProductInput(StepName(need), "P", "P") for need in needs)
    return Step(StepName(name), name, name, inputs, (), ("P",), Purpose("X"), target=target)


PLAN = Plan("D", "toy", (step("dark"), step("flat", "dark"), step("science", "flat", "dark", target=True)))
STATED = {entry.name: replace(STATEMENT, recipe=entry.recipe) for entry in PLAN.steps}


def found(*there: str) -> dict[StepName, Record | Absent]:
    record = Record(StepKey("k"), (), 1.0, "2026-01-01T00:00:00Z", "/x")
    return {entry.name: record if entry.name in there else Absent() for entry in PLAN.steps}


def decisions(*there: str, policy: Policy = NO_POLICY) -> list[type]:
    return [type(decision) for decision in decide(PLAN, STATED, found(*there), lambda _: None, policy)]


def test_what_is_there_is_reused_and_what_is_not_is_made_with_all_it_needs() -> None:
    assert decisions() == [Execute, Execute, Execute]
    assert decisions("dark", "flat", "science") == [Reuse, Reuse, Reuse]
    assert decisions("dark") == [Reuse, Execute, Execute]


def test_masters_that_are_gone_are_not_made_again_while_the_science_product_is_there() -> None:
    assert decisions("science") == [NotNeeded, NotNeeded, Reuse]


def test_a_master_that_is_gone_is_made_only_if_what_must_run_needs_it() -> None:
    assert decisions("flat") == [Execute, Reuse, Execute]


def test_the_reason_to_make_a_product_again_is_that_it_is_gone() -> None:
    gone = {name: Absent("product IMG (a.fits) is missing") for name in STATED}
    told = decide(PLAN, STATED, gone, lambda _: None)
    assert {decision.reason for decision in told} == {"product IMG (a.fits) is missing"}


ALL = ("dark", "flat", "science")


def test_a_forced_step_runs_alone_and_one_to_start_from_runs_with_all_that_depends_on_it() -> None:
    assert decisions(*ALL, policy=Policy(forced=("flat",))) == [Reuse, Execute, Reuse]
    assert decisions(*ALL, policy=Policy(start=("flat",))) == [Reuse, Execute, Execute]
    assert decisions(*ALL, policy=Policy(start=("dark",))) == [Execute, Execute, Execute]


def test_a_forced_step_gets_its_masters_made_again_where_they_are_gone() -> None:
    assert decisions("science", policy=Policy(forced=("science",))) == [Execute, Execute, Execute]


def test_lazy_mode_can_be_off_for_all_recipes_or_for_one() -> None:
    assert decisions(*ALL, policy=Policy(lazy="off")) == [Execute, Execute, Execute]
    assert decisions(*ALL, policy=Policy(by_recipe={"dark": "off"})) == [Execute, Reuse, Reuse]
    assert decisions(*ALL, policy=Policy(lazy="off", by_recipe={"dark": "on"})) == [Reuse, Execute, Execute]


def test_a_policy_that_names_what_no_plan_has_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(UserError, match="the plan has no recipe or step 'bias'; there are: dark, flat, science"):
        refuse_unknown(Policy(forced=("bias",)), names_in((PLAN,)))
