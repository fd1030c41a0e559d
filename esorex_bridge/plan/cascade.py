"""A dataset and a workflow definition become a plan.

The plan is made from the target backwards: an action gets a step when its products are asked for, so a group that no
step needs gets none, unless its step is marked to run always. Steps that are equal (recipe, inputs in their order,
parameters) are one step, however often the tree repeats them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from msgspec import Struct
from msgspec.structs import replace

from esorex_bridge.datasets.dataset import Action, Dataset, DatasetFile, Purpose, walk_actions
from esorex_bridge.definitions.parameters import ParameterSetting
from esorex_bridge.definitions.workflow import Calibration, StepDefinition, Workflow
from esorex_bridge.plan.groups import Group, absent, following, keywords_of, split
from esorex_bridge.plan.matching import Choice, choose
from esorex_bridge.plan.plan import (
    FileInput,
    HeadersByPath,
    Keywords,
    Plan,
    ProductInput,
    Step,
    StepInput,
    StepName,
    UnusedGroup,
)


def make_plan(
    dataset: Dataset, workflow: Workflow, headers: HeadersByPath, settings: Iterable[ParameterSetting] = ()
) -> Plan:
    """Return the steps that reduce a dataset.

    Parameters
    ----------
    dataset : Dataset
        Files not on this machine become gaps of the steps that need them.
    workflow : Workflow
        Which recipes there are and what they take.
    headers : mapping of Path to keywords
        Of every file of the dataset that is on this machine.
    settings : iterable of ParameterSetting
        Recipe parameters given for this run; they win over those chosen for the dataset in a review, and these over
        those of the workflow.
    """
    reviewed = tuple(ParameterSetting(recipe, name, value, "review") for recipe, name, value in dataset.parameters)
    planner = _Planner(workflow, headers, (*reviewed, *settings))
    planner.plan_targets(dataset.action)
    used = {step.recipe for step in planner.steps}
    told = dict.fromkeys(text for action, _ in walk_actions(dataset.action) for text in action.messages)
    idle = (f"no step runs {each.recipe}, whose {each.name} was chosen" for each in reviewed if each.recipe not in used)
    unused = tuple(planner.unused(dataset.action))
    return Plan(dataset.name, workflow.name, tuple(planner.steps), unused, (*told, *idle))


class _Offer(Struct, frozen=True):
    """Something that could serve under a calibration tag: files as they are, or the products of a group's run."""

    label: str
    category: str
    keywords: Keywords
    files: tuple[DatasetFile, ...] = ()
    group: Group | None = None
    action: Action | None = None


class _Planner:
    """Makes steps on demand and gives equal ones one name."""

    def __init__(self, workflow: Workflow, headers: HeadersByPath, settings: tuple[ParameterSetting, ...]) -> None:
        self.workflow = workflow
        self.headers = headers
        self.settings = settings
        self.steps: list[Step] = []
        self._names: dict[Step, StepName] = {}
        self._counts: Counter[str] = Counter()
        self._groups: dict[Action, tuple[Group, ...]] = {}
        self._taken: set[Action] = set()

    def plan_targets(self, action: Action) -> None:
        """Plan what the dataset is for."""
        first = self.workflow.step_for(file.category for file in action.files)
        for group in self._groups_of(action, Purpose(action.name)):
            if first is not None and group.comes_from(first):
                self._step(group, target=True)
        for other, purpose in walk_actions(action):
            for group in () if other.auxiliary else self._groups_of(other, purpose):
                if group.definition.always:
                    self._step(group, target=True)

    def unused(self, root: Action) -> Iterator[UnusedGroup]:
        """Yield the actions from which no step took anything, equal ones once."""
        seen = set(self._taken)
        for action, purpose in walk_actions(root):
            if action in seen:
                continue
            seen.add(action)
            definition = self.workflow.step_for(file.category for file in action.files)
            recipe = definition.recipe if definition else None
            yield UnusedGroup(purpose, recipe, self._why_unused(action, definition))

    def _why_unused(self, action: Action, definition: StepDefinition | None) -> str:
        if action.auxiliary:
            return "auxiliary: for a person to look at, no recipe takes it"
        if definition is None:
            categories = ", ".join(sorted({file.category for file in action.files})) or "no file"
            return f"workflow {self.workflow.name} has no recipe for {categories}"
        return "no step takes its products or its files"

    # ----- groups: what goes into one run

    def _groups_of(self, action: Action, purpose: Purpose) -> tuple[Group, ...]:
        """Return all groups that the files of an action make, and those that follow from their products."""
        if action not in self._groups:
            steps = self.workflow.steps_for(file.category for file in action.files)
            found = [group for step in steps for group in split(step, action, purpose, self.headers)]
            self._groups[action] = tuple(
                each for group in found for each in (group, *following(group, self.workflow.steps))
            )
        return self._groups[action]

    # ----- steps

    def _step(self, group: Group, target: bool = False) -> StepName:
        self._taken.add(group.action)
        inputs = list(self._main(group))
        gaps, warnings = list(group.gaps), []
        for calibration in group.definition.calibrations:
            choice = self._choose(calibration, group)
            for offer in choice.taken:
                inputs.extend(self._inputs(offer, calibration))
                gaps.extend(absent(offer.files))
            if not choice.taken and calibration.required:
                gaps.append(f"{group.definition.recipe} needs {calibration.category}: {choice.reason}")
            elif not choice.taken:
                warnings.append(f"made without {calibration.category}: {choice.reason}")
        return self._named(
            Step(
                name=StepName(""),
                actor=group.definition.name,
                recipe=group.definition.recipe,
                inputs=tuple(dict.fromkeys(inputs)),
                settings=self._settings(group.definition),
                products=group.definition.products,
                purpose=group.purpose,
                setup=group.setup,
                gaps=tuple(gaps),
                warnings=tuple(warnings),
                target=target,
                required=tuple(each.category for each in group.definition.calibrations if each.required),
                unnoted=_unnoted(group.definition),
                command=group.definition.command,
                threads=group.definition.threads,
                memory_mb=group.definition.memory_mb,
            )
        )

    def _main(self, group: Group) -> Iterator[StepInput]:
        if group.source is not None:
            yield ProductInput(self._step(group.source), group.product, group.definition.tag(group.product))
            return
        for file in group.files:
            if file.path is not None:
                yield FileInput(file.name, str(file.path), group.definition.tag(file.category))

    def _named(self, draft: Step) -> StepName:
        # What a run is does not depend on the purpose it was first met under, nor on what else it is for.
        identity = replace(draft, purpose=Purpose(""), target=False)
        if identity not in self._names:
            self._counts[draft.recipe] += 1
            self._names[identity] = StepName(f"{draft.recipe}_{self._counts[draft.recipe]}")
            self.steps.append(replace(draft, name=self._names[identity]))
        name = self._names[identity]
        if draft.target:
            self.steps = [replace(step, target=True) if step.name == name else step for step in self.steps]
        return name

    def _settings(self, definition: StepDefinition) -> tuple[ParameterSetting, ...]:
        origin = f"workflow {self.workflow.name}"
        defined = (ParameterSetting(definition.recipe, name, value, origin) for name, value in definition.parameters)
        return (*defined, *(setting for setting in self.settings if setting.recipe == definition.recipe))

    # ----- calibrations

    def _choose(self, calibration: Calibration, group: Group) -> Choice[_Offer]:
        return choose(self._offers(calibration, group), group.keywords(self.headers), calibration)

    def _offers(self, calibration: Calibration, group: Group) -> Iterator[_Offer]:
        """Yield what offers itself under a tag.

        That are other files of the action, what other steps make of its files, and the nearest level below that has
        any; where the user replaced what would be made, that alone.
        """
        action, purpose = group.action, group.purpose
        accepted = [file for file in (*action.statics, *action.files) if file.category in calibration.accepted]
        own = [file for file in accepted if file.category in action.replaced]
        for file in own or accepted:
            if file.category not in group.definition.main:
                yield _Offer(file.name, file.category, keywords_of(file, self.headers), files=(file,))
        if own:
            return
        beside = [other for other in self._groups_of(action, purpose) if not other.comes_from(group.definition)]
        made = [offer for other in beside for offer in self._products(calibration, other)]
        yield from made
        if made:
            return
        level = [(child, Purpose(f"{child.name}/{purpose}")) for child in action.actions if not child.auxiliary]
        while level:
            found = [offer for child, path in level for offer in self._offers_of(calibration, child, path)]
            yield from found
            if found:
                return
            level = [
                (child, Purpose(f"{child.name}/{path}"))
                for above, path in level
                for child in above.actions
                if not child.auxiliary
            ]

    def _offers_of(self, calibration: Calibration, child: Action, purpose: Purpose) -> Iterator[_Offer]:
        for file in child.files:
            if file.category in calibration.accepted:
                yield _Offer(file.name, file.category, keywords_of(file, self.headers), files=(file,), action=child)
        for group in self._groups_of(child, purpose):
            yield from self._products(calibration, group)

    def _products(self, calibration: Calibration, group: Group) -> Iterator[_Offer]:
        for product in group.definition.products:
            if product in calibration.accepted:
                yield _Offer(group.label, product, group.keywords(self.headers), group=group, action=group.action)

    def _inputs(self, offer: _Offer, calibration: Calibration) -> Iterator[StepInput]:
        if offer.action is not None:
            self._taken.add(offer.action)
        if offer.group is not None:
            name = self._step(offer.group)
            yield ProductInput(name, offer.category, calibration.category)
        for file in offer.files:
            if file.path is not None:
                yield FileInput(file.name, str(file.path), calibration.category)


def _unnoted(definition: StepDefinition) -> tuple[str, ...]:
    """Return the tags whose use cannot be seen in a product: a program of the user's own need not note any."""
    calibrations = definition.calibrations
    return tuple(each.category for each in calibrations if definition.command or not each.noted)
