"""Groups of frames that rules process together, and the products that will come of them."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from heapq import merge
from itertools import groupby
from math import isfinite
from typing import TypeAlias

from msgspec import Struct, field

from esorex_bridge.definitions.oca.classify import Classified, Classifier
from esorex_bridge.definitions.oca.evaluate import evaluate, holds
from esorex_bridge.definitions.oca.expressions import All, Compared, Constant, Expression, Keyword, keywords_in
from esorex_bridge.definitions.oca.rules import ActionRule, RuleExecution, RuleProduct, Rules
from esorex_bridge.files import DpId
from esorex_bridge.fits.card import Value
from esorex_bridge.organise.frames import Frame, template_of


class FrameGroup(Struct, frozen=True, eq=False):
    """Frames that trigger one action. Compared by identity.

    Parameters
    ----------
    execution : RuleExecution
        The rule that found them.
    action : ActionRule
        What is done with them.
    frames : tuple of Frame
        In the order of time; the first is the one that rules call `inputFile`.
    values : tuple of (str, value)
        The keywords that agree within the group, with their values.
    """

    execution: RuleExecution
    action: ActionRule
    frames: tuple[Frame, ...]
    values: tuple[tuple[str, Value], ...] = field(default=())

    @property
    def trigger(self) -> Frame:
        """The first frame, whose keywords stand for the group."""
        return self.frames[0]

    @property
    def triggers(self) -> tuple[Frame, ...]:
        """The first frame of each setting: what its recipe does not take in one run is associated by itself."""
        found: dict[tuple[Value, ...], Frame] = {}
        for frame in self.frames:
            found.setdefault(tuple(map(frame.keywords.get, self.action.settings)), frame)
        return tuple(found.values())

    @property
    def is_short(self) -> bool:
        """Whether it has fewer frames than its recipe runs on."""
        return len(self.frames) < self.action.least_files

    @property
    def is_target(self) -> bool:
        """Whether it is the seed of a dataset."""
        return any(frame.is_target for frame in self.frames)


class Candidate(Struct, frozen=True, eq=False):
    """What an association may choose: a file, or a product to come with the group that makes it.

    Parameters
    ----------
    frame : Frame
        With the keywords that rules look at.
    maker : FrameGroup or None
        The group whose action makes it; None for a file.
    """

    frame: Frame
    maker: FrameGroup | None = None


def groups_of(frames: Iterable[Frame], rules: Rules) -> tuple[FrameGroup, ...]:
    """Return the groups that the rules `select execute` form, in the order of the rules, then of time."""
    pool = Pool([Candidate(frame) for frame in frames])
    found: dict[tuple[str, frozenset[int]], FrameGroup] = {}
    for execution in rules.executions:
        action = rules.action(execution.action)
        for members in _partition(execution, action, pool):
            values = tuple((key, members[0].keywords.get(key)) for key in execution.keys)
            same = (execution.action, frozenset(map(id, members)))
            found.setdefault(same, FrameGroup(execution, _action_for(action, members), tuple(members), values))
    return tuple(found.values())


def _action_for(action: ActionRule, members: list[Frame]) -> ActionRule:
    """Return an action as it is for the categories of a group: that which knows most, where it knows all."""
    variants = {id(each): each for frame in members if (each := action.for_category(frame.category)) is not action}
    most = max(variants.values(), key=lambda each: len(each.products), default=action)
    known = {product.name for product in most.products}
    return most if all(product.name in known for each in variants.values() for product in each.products) else action


def _partition(execution: RuleExecution, action: ActionRule, pool: Pool) -> Iterable[list[Frame]]:
    parts: dict[tuple[object, ...], list[Frame]] = defaultdict(list)
    share = _sharing(execution, action)
    for candidate in pool.possible(execution.condition):
        if holds(execution.condition, candidate.frame.keywords):
            parts[share(candidate.frame)].append(candidate.frame)
    return parts.values()


class _Sharing:
    """What frames of one group have in common."""

    def __init__(self, keys: tuple[str, ...], by_template: bool, alone: bool, action: ActionRule) -> None:
        self._keys = keys
        self._by_template = by_template
        self._alone = alone
        self._action = action

    def __call__(self, frame: Frame) -> tuple[object, ...]:
        common: tuple[object, ...] = tuple(map(frame.keywords.get, self._keys))
        if self._by_template:
            return (*common, *template_of(frame))
        if not self._alone:
            return common
        variant = self._action.for_category(frame.category)
        return (*common, id(variant), *template_of(frame)) if variant.together else (*common, id(frame))


def _sharing(execution: RuleExecution, action: ActionRule) -> _Sharing:
    """Decide what a group shares: the keys stated; the template, or nothing, where Gasgano's signals ask for it.

    A rule that waits for a whole template (`SIG.TEMPLATE == 1`) acts on one template, whatever keys it has; one that
    waits for a single frame (`SIG.FRAME == 1`) acts on that alone, unless its recipe is known to take several: on disk
    the whole template is there. Without keys and signals a template is the group.
    """
    names = {keyword.name for keyword in keywords_in(execution.condition)}
    alone = "SIG.FRAME" in names and not execution.keys
    by_template = "SIG.TEMPLATE" in names or (not execution.keys and not alone)
    return _Sharing(execution.keys, by_template, alone, action)


def products_of(group: FrameGroup, classify: Classifier) -> tuple[Candidate, ...]:
    """Return the products that a group's action will make, with the keywords that later rules will find in them.

    A product inherits the header of the group's first file, or of the first of each setting, differs from it as the
    rule says, and is classified like any file that says what product it is.
    """
    return tuple(
        Candidate(_product(first, product, classify), group)
        for first in group.triggers
        for product in group.action.products
    )


def _product(first: Frame, product: RuleProduct, classify: Classifier) -> Frame:
    stated = {assigned.name: evaluate(assigned.value, first.keywords) for assigned in product.assignments}
    category = stated.get("PRO.CATG") or product.name
    raw = {name: value for name, value in first.keywords.items() if name not in first.classified.given}
    header: dict[str, Value] = {**raw, "PRO.CATG": category, "VIRTUAL": True}
    given = {"DO.CATG": category, "REFLEX.CATG": category, **classify(header).given, **stated}
    found = Classified(given, classify(header).rules)
    return Frame(DpId(f"{first.name}_{category}"), None, {**header, **given}, found, first.time)


_Key: TypeAlias = tuple[str, Value]


class Pool:
    """Candidates that can be asked for by category, so that a rule looks at those alone that it can mean.

    Lists are in the order of time, so that the nearest are found without looking at the rest.
    """

    _INDEXED = ("DO.CATG", "PRO.CATG", "REFLEX.CATG", "RAW.TYPE", "LF.DO.CATG", "CATG")

    def __init__(self, candidates: Iterable[Candidate]) -> None:
        self.all = sorted(candidates, key=_time_order)
        self._index: dict[_Key, list[Candidate]] = defaultdict(list)
        for candidate in self.all:
            keywords: Mapping[str, Value] = candidate.frame.keywords
            for name in self._INDEXED:
                value = keywords.get(name)
                if value is not None:
                    self._index[name, value].append(candidate)

    def possible(self, condition: Expression) -> list[Candidate]:
        """Return the candidates for which a condition may hold, in the order of time."""
        named = [key for part in _conjuncts(condition) if (key := _category_test(part)) is not None]
        if not named:
            return self.all
        return min((self._index.get(key, []) for key in named), key=len)

    def nearest(self, condition: Expression, time: float) -> Iterator[Candidate]:
        """Yield the same, those nearest to a time first; of equally near ones files first, then by name."""
        candidates = self.possible(condition)
        if not isfinite(time):
            yield from sorted(candidates, key=_rank)
            return
        middle = bisect_left(candidates, time, key=_time)
        yield from merge(
            _runs(candidates, range(middle - 1, -1, -1)),
            _runs(candidates, range(middle, len(candidates))),
            key=lambda candidate: (abs(candidate.frame.time - time), *_rank(candidate)),
        )


def _time(candidate: Candidate) -> float:
    return candidate.frame.time


def _rank(candidate: Candidate) -> tuple[bool, str, str]:
    return candidate.maker is not None, candidate.frame.name, str(candidate.frame.path)


def _time_order(candidate: Candidate) -> tuple[float, bool, str, str]:
    return _time(candidate), *_rank(candidate)


def _runs(candidates: list[Candidate], places: range) -> Iterator[Candidate]:
    """Yield candidates at places, those of one time by rank, whichever way the places run."""
    for _, run in groupby((candidates[place] for place in places), key=_time):
        yield from sorted(run, key=_rank)


def _conjuncts(condition: Expression) -> tuple[Expression, ...]:
    return condition.parts if isinstance(condition, All) else (condition,)


def _category_test(part: Expression) -> _Key | None:
    match part:
        case Compared(Keyword(name, False), "==", Constant(value)) if name in Pool._INDEXED and isinstance(value, str):
            return name, value
    return None
