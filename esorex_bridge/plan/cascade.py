"""A dataset and a workflow definition become a plan.

The plan is made from the target backwards: an action gets a step when its products are asked for, so a group that no
step needs gets none, unless its step is marked to run always. Steps that are equal (recipe, inputs in their order,
parameters) are one step, however often the tree repeats them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from functools import partial

from msgspec.structs import replace

from esorex_bridge.datasets.association import LEVELS
from esorex_bridge.datasets.dataset import Action, Dataset, DatasetFile, Purpose, walk_actions
from esorex_bridge.datasets.shared import Shared
from esorex_bridge.definitions.parameters import ParameterSetting
from esorex_bridge.definitions.steps import Calibration, StepDefinition
from esorex_bridge.definitions.workflow import Workflow
from esorex_bridge.plan.accounting import Fate, account_for, find_unreduced
from esorex_bridge.plan.groups import Group, absent, following, split
from esorex_bridge.plan.matching import Choice, Judged, choose
from esorex_bridge.plan.misplaced import find_foreign, leave_out_foreign, makers_of, object_to_raw
from esorex_bridge.plan.offers import Offer, offers_for
from esorex_bridge.plan.plan import (
    AssociatedInput,
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
    dataset: Dataset,
    workflow: Workflow,
    headers: HeadersByPath,
    settings: Iterable[ParameterSetting] = (),
    quality: int | None = None,
    shared: Shared | None = None,
) -> Plan:
    """Return the steps that reduce a dataset, and an account of every file that is in none of them.

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
    quality : int, optional
        Calibrations of a higher level are not taken; no limit by default.
    shared : Shared, optional
        What was worked out for other datasets by the same workflow, headers and quality.
    """
    reviewed = tuple(ParameterSetting(recipe, name, value, "review") for recipe, name, value in dataset.parameters)
    shared = shared or Shared()
    foreign = find_foreign(dataset, workflow, headers, shared)
    own = leave_out_foreign(dataset, foreign)
    planner = _Planner(workflow, headers, (*reviewed, *settings), quality, own, shared)
    planner.plan_targets(own.action)
    used = {step.recipe for step in planner.steps}
    told = dict.fromkeys(text for action, _ in walk_actions(dataset.action) for text in action.messages)
    idle = (f"no step runs {each.recipe}, whose {each.name} was chosen" for each in reviewed if each.recipe not in used)
    steps = tuple(planner.steps)
    not_used = account_for(dataset, workflow, steps, {**planner.refusals(own.action), **foreign}, shared)
    return Plan(
        dataset.name,
        workflow.name,
        steps,
        unused=tuple(planner.find_unused(own.action)),
        messages=(*told, *idle),
        not_used=not_used,
        incomplete=find_unreduced(dataset, steps, not_used),
    )


class _Planner:
    """Makes steps on demand and gives equal ones one name."""

    def __init__(
        self,
        workflow: Workflow,
        headers: HeadersByPath,
        settings: tuple[ParameterSetting, ...],
        quality: int | None,
        dataset: Dataset,
        shared: Shared,
    ) -> None:
        self.workflow = workflow
        self.headers = headers
        self.settings = settings
        self.quality = quality
        self.dataset = dataset
        self.shared = shared
        self.steps: list[Step] = []
        self._names: dict[Step, StepName] = {}
        self._planned: dict[int, tuple[Group, StepName]] = {}
        self._counts: Counter[str] = Counter()
        self._groups: dict[Action, tuple[Group, ...]] = {}
        self._taken: set[Action] = set()
        self._refused: dict[tuple[str, str], Fate] = {}
        self._makers = makers_of(workflow.steps)

    def plan_targets(self, action: Action) -> None:
        """Plan what the dataset is for: first what takes most of its files, then what takes those that are left."""
        first = self.workflow.step_for(file.category for file in action.files)
        groups = self._groups_of(action, Purpose(action.name))
        for group in groups:
            if first is not None and group.comes_from(first) and not group.shortage:
                self._target(group)
        for group in groups:
            if group.source is None and not group.shortage and not self._is_placed(group):
                self._target(group)
        for other, purpose in walk_actions(action):
            for group in () if other.auxiliary else self._groups_of(other, purpose):
                if group.definition.always and not group.shortage:
                    self._target(group, group.definition.delivered)

    def _is_placed(self, group: Group) -> bool:
        """Tell whether every file of a group is in a step already."""
        used = {entry.name for step in self.steps for entry in step.inputs if isinstance(entry, FileInput)}
        return all(file.name in used for file in group.files if file.path is not None)

    def refusals(self, root: Action) -> dict[tuple[str, str], Fate]:
        """Return why choices went against files, by name and category."""
        found: dict[tuple[str, str], Fate] = {}
        for action, purpose in walk_actions(root):
            for group in () if action.auxiliary else self._groups_of(action, purpose):
                if group.shortage and group.source is None:
                    found.update(dict.fromkeys(_keys(group.files), ("group too small", group.shortage)))
                most = f"{group.definition.recipe} takes {group.definition.maximum}"
                found.update(dict.fromkeys(_keys(group.surplus), ("over the limit", most)))
        return {**self._refused, **found}

    def find_unused(self, root: Action) -> Iterator[UnusedGroup]:
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
            work = partial(self._make_groups, action, purpose)
            own = action is self.dataset.action
            self._groups[action] = work() if own else self.shared.once(("groups", action, purpose), work)
        return self._groups[action]

    def _make_groups(self, action: Action, purpose: Purpose) -> tuple[Group, ...]:
        steps = self.workflow.steps_for(file.category for file in action.files)
        found = [group for step in steps for group in split(step, action, purpose, self.headers)]
        return tuple(each for group in found for each in (group, *following(group, self.workflow.steps)))

    # ----- steps

    def _target(self, group: Group, delivered: bool = True) -> None:
        """Plan a step that the dataset is for; what was delivered for another reason stays so."""
        name = self._step(group)
        self.steps = [
            replace(step, target=True, delivered=delivered or step.makes_end_products) if step.name == name else step
            for step in self.steps
        ]

    def _step(self, group: Group) -> StepName:
        """Plan a group's step with all that it needs, once: a cascade meets a group by each way that leads to it."""
        number = id(group)  # which is its own for as long as it is held
        if number not in self._planned:
            self._planned[number] = group, self._name(self._draft(group))
        return self._planned[number][1]

    def _draft(self, group: Group) -> Step:
        self._taken.add(group.action)
        self._taken.update(
            child for child in group.action.actions if child.files and set(child.files) <= set(group.files)
        )
        inputs, raw_associations = self._main(group)
        gaps, warnings = list(group.gaps), list[str]()
        associations: list[AssociatedInput] = []
        for calibration in group.definition.calibrations:
            choice = self._choose(calibration, group)
            for judged in choice.taken:
                found = tuple(self._inputs(judged.offer, calibration))
                inputs.extend(found)
                gaps.extend(absent((judged.offer.file,)) if judged.offer.file is not None else ())
                associations += [self._associate(entry, judged, calibration) for entry in found]
                warnings.extend(_remarks(judged, calibration))
            if not choice.taken and calibration.required:
                gaps.append(f"{group.definition.recipe} needs {calibration.category}: {choice.reason}")
            elif not choice.taken:
                warnings.append(f"made without {calibration.category}: {choice.reason}")
        return Step(
            name=StepName(""),
            actor=group.definition.name,
            recipe=group.definition.recipe,
            inputs=tuple(dict.fromkeys(inputs)),
            settings=self._settings(group, {entry.category for entry in inputs}),
            products=group.definition.products,
            purpose=group.purpose,
            setup=group.setup,
            gaps=tuple(gaps),
            warnings=tuple(warnings),
            required=group.definition.required,
            unnoted=group.definition.unlisted,
            command=group.definition.command,
            threads=group.definition.threads,
            memory_mb=group.definition.memory_mb,
            associations=tuple(dict.fromkeys(associations)),
            raw_associations=raw_associations,
        )

    def _main(self, group: Group) -> tuple[list[StepInput], tuple[AssociatedInput, ...]]:
        """Return a step's main inputs, and how raws among them were associated."""
        if group.source is not None:
            tag = group.definition.tag(group.product)
            return [ProductInput(self._step(group.source), group.product, tag)], ()
        work, own = partial(self._raws, group), group.action is self.dataset.action
        question = "raws", group, self.dataset.chosen, self.dataset.mode
        files, associated = work() if own else self.shared.once(question, work)
        return [*files], associated

    def _raws(self, group: Group) -> tuple[tuple[FileInput, ...], tuple[AssociatedInput, ...]]:
        tag = group.definition.tag
        named = ((file, file.path) for file in group.files)
        files = tuple(FileInput(file.name, str(path), tag(file.category)) for file, path in named if path is not None)
        return files, tuple(self._raw_associations(group))

    def _raw_associations(self, group: Group) -> Iterator[AssociatedInput]:
        """Yield how the raws of a calibration were associated; those of the target were asked for."""
        if "/" not in group.purpose:
            return
        for file in group.files:
            if file.path is not None:
                chosen = self._describe_chooser((file,), file.match is not None)
                level, tag = LEVELS.get(file.match), group.definition.tag(file.category)
                yield AssociatedInput(tag, file.name, None, level, file.match, file.certified, chosen)

    def _name(self, draft: Step) -> StepName:
        # What a run is does not depend on the purpose it was first met under, nor on what else it is for.
        identity = replace(draft, purpose=Purpose(""), associations=(), raw_associations=())
        if identity not in self._names:
            self._counts[draft.recipe] += 1
            self._names[identity] = StepName(f"{draft.recipe}_{self._counts[draft.recipe]}")
            self.steps.append(replace(draft, name=self._names[identity]))
        return self._names[identity]

    def _settings(self, group: Group, tags: Collection[str]) -> tuple[ParameterSetting, ...]:
        recipe, origin = group.definition.recipe, f"workflow {self.workflow.name}"
        parameters = group.definition.parameters_for(group.keywords(self.headers), tags)
        defined = (ParameterSetting(recipe, name, value, origin) for name, value in parameters)
        return (*defined, *(setting for setting in self.settings if setting.recipe == recipe))

    # ----- calibrations

    def _choose(self, calibration: Calibration, group: Group) -> Choice[Offer]:
        work = partial(self._hold_offers_against, calibration, group)
        own = group.action is self.dataset.action
        choice = work() if own else self.shared.once(("choice", calibration, group, self.dataset.final), work)
        for refused in choice.refused:
            for key in _keys(refused.offer.files):
                if self._refused.get(key, ("its maker is not needed", ""))[0] == "its maker is not needed":
                    self._refused[key] = refused.reason, f"{calibration.category}: {refused.detail}"
        return choice

    def _hold_offers_against(self, calibration: Calibration, group: Group) -> Choice[Offer]:
        found = offers_for(calibration, group, self.headers, self._groups_of, self.shared, self.dataset.final)
        offers = map(self._object, found)
        return choose(offers, group.keywords(self.headers), calibration, self._siblings(group), self.quality)

    def _object(self, offer: Offer) -> Offer:
        """Return an offer with what is to be said against it, where it is a file that is no product."""
        objection = object_to_raw(offer.file, offer.keywords, self._makers) if offer.file else None
        return replace(offer, objection=objection) if objection else offer

    def _siblings(self, group: Group) -> tuple[Keywords, ...]:
        """Return the keywords of the other groups that a step makes of the same action."""
        groups = self._groups_of(group.action, group.purpose)
        return tuple(
            other.keywords(self.headers)
            for other in groups
            if other.definition == group.definition and other.setup != group.setup
        )

    def _inputs(self, offer: Offer, calibration: Calibration) -> Iterator[StepInput]:
        if offer.action is not None:
            self._taken.add(offer.action)
        if offer.group is not None:
            name = self._step(offer.group)
            yield ProductInput(name, offer.category, calibration.category)
        elif offer.file is not None and offer.file.path is not None:
            yield FileInput(offer.file.name, str(offer.file.path), calibration.category)

    def _associate(self, entry: StepInput, judged: Judged[Offer], calibration: Calibration) -> AssociatedInput:
        source = entry.name if isinstance(entry, FileInput) else entry.step
        days = None if judged.days is None else round(judged.days, 4)
        offer = judged.offer
        chosen = self._describe_chooser(offer.files, offer.bound and offer.match is not None)
        return AssociatedInput(calibration.category, source, days, judged.level, offer.match, offer.certified, chosen)

    def _describe_chooser(self, files: Iterable[DatasetFile], by_selector: bool) -> str:
        if any(file.name in self.dataset.chosen for file in files):
            return "review"
        if by_selector:
            return "calSelector"
        return "rules" if self.dataset.mode is None else f"workflow {self.workflow.name}"


def _keys(files: Iterable[DatasetFile]) -> Iterator[tuple[str, str]]:
    return ((file.name, file.category) for file in files)


def _remarks(judged: Judged[Offer], calibration: Calibration) -> Iterator[str]:
    """Yield what a reader of the products should know of a calibration that was taken."""
    offer, category = judged.offer, calibration.category
    away = "" if judged.days is None else f", {judged.days:.1f} days away"
    if judged.differences:
        unlike = ", ".join(judged.differences)
        yield f"{category} from {offer.label} differs ({unlike}), kept as calSelector put it there"
    elif not judged.fits(calibration):
        yield f"{category} from {offer.label}{away} is outside all ranges of time, kept as calSelector put it there"
    elif offer.match == "extended":
        yield f"{category} from {offer.label}{away} is of the extended calibration plan"
    elif judged.level is not None and judged.level > 0:
        yield f"{category} from {offer.label}{away} is of level {judged.level}"
