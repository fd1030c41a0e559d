"""Association by rules: what each group needs, the nearest in time first, to any depth."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import inf, isnan

from msgspec import Struct, field
from msgspec.structs import replace

from esorex_bridge.datasets.dataset import Action, DatasetFile
from esorex_bridge.definitions.oca.evaluate import holds
from esorex_bridge.definitions.oca.rules import Selection
from esorex_bridge.fits.identity import is_raw
from esorex_bridge.organise.breakpoints import Breakpoint, separating
from esorex_bridge.organise.frames import Frame
from esorex_bridge.organise.grouping import Candidate, FrameGroup, Pool


class Chosen(Struct, frozen=True):
    """What one `select file` of an action found for a group.

    Parameters
    ----------
    selection : Selection
        The rule.
    taken : tuple of Candidate
        At most `maxRet`, the nearest in time first.
    surplus : tuple of Candidate
        Those that would do as well, but are further away.
    cyclic : tuple of Candidate
        Those that would need the group's own product.
    lacking : tuple of Frame
        First frames of the settings for which fewer than `minRet` were found.
    """

    selection: Selection
    taken: tuple[Candidate, ...]
    surplus: tuple[Candidate, ...] = ()
    cyclic: tuple[Candidate, ...] = ()
    lacking: tuple[Frame, ...] = ()

    @property
    def is_enough(self) -> bool:
        """Whether at least `minRet` were found for every setting."""
        return not self.lacking


class Associator(Struct):
    """Builds the action of a group with all that it needs.

    Parameters
    ----------
    pool : Pool
        All files and products to come.
    breakpoints : tuple of Breakpoint
        Dates that calibrations must not cross.
    made : frozenset of str
        Categories that recipes make: a raw frame that is called so is none of them.
    warnings : dict
        What is missing or too much, in Reflex's words; a dictionary for its order.
    """

    pool: Pool
    breakpoints: tuple[Breakpoint, ...] = ()
    made: frozenset[str] = frozenset()
    warnings: dict[str, None] = field(default_factory=dict)
    _known: dict[FrameGroup, Action] = field(default_factory=dict)

    def target(self, group: FrameGroup, beside: Iterable[Selection] = ()) -> Action:
        """Return the action of a dataset: with what belongs to every dataset, of its setting and night."""
        action = self.action(group)
        chosen = [self.choose(group, selection) for selection in beside]
        more = self._build(group, chosen, (group,))
        there = [each for each in more.actions if each.files != action.files]
        return replace(action, actions=tuple(dict.fromkeys((*action.actions, *there))))

    def action(self, group: FrameGroup, above: tuple[FrameGroup, ...] = ()) -> Action:
        """Return the action of a group.

        Parameters
        ----------
        group : FrameGroup
            What is processed.
        above : tuple of FrameGroup
            The groups that need it: their products cannot serve it, since that would be a cycle.
        """
        if group in self._known:
            return self._known[group]
        chosen = [self.choose(group, selection, above) for selection in group.action.selections]
        action = self._build(group, chosen, (*above, group))
        if not any(choice.cyclic for choice in chosen):
            self._known[group] = action
        return action

    def choose(self, group: FrameGroup, selection: Selection, above: tuple[FrameGroup, ...] = ()) -> Chosen:
        """Return what one rule of an action takes for a group, for each setting by itself; it looks no further."""
        return _unite(selection, [self._choose(group, trigger, selection, above) for trigger in group.triggers])

    def _choose(self, group: FrameGroup, trigger: Frame, selection: Selection, above: tuple[FrameGroup, ...]) -> Chosen:
        taken: list[Candidate] = []
        short: list[Candidate] = []
        cyclic: list[Candidate] = []
        if selection.most > 0:
            for candidate in self._suiting(group, trigger, selection):
                if candidate.maker in (*above, group):
                    cyclic.append(candidate)
                    continue
                (short if _is_short(candidate) else taken).append(candidate)
                if len(taken) == selection.most:
                    break
        taken = [*taken, *short][: selection.most]
        lacking = (trigger,) if len(taken) < selection.least else ()
        return Chosen(selection, tuple(taken), (), tuple(cyclic), lacking)

    def survey(self, group: FrameGroup, selection: Selection, above: tuple[FrameGroup, ...] = ()) -> Chosen:
        """Return what one rule of an action takes for a group, and all that would do as well."""
        return _unite(selection, [self._survey(group, trigger, selection, above) for trigger in group.triggers])

    def _survey(self, group: FrameGroup, trigger: Frame, selection: Selection, above: tuple[FrameGroup, ...]) -> Chosen:
        suiting = tuple(self._suiting(group, trigger, selection))
        cyclic = tuple(candidate for candidate in suiting if candidate.maker in (*above, group))
        free = sorted((candidate for candidate in suiting if candidate not in cyclic), key=_is_short)
        taken, surplus = tuple(free[: selection.most]), tuple(free[selection.most :])
        return Chosen(selection, taken, surplus, cyclic, (trigger,) if len(taken) < selection.least else ())

    def _suiting(self, group: FrameGroup, trigger: Frame, selection: Selection) -> Iterator[Candidate]:
        """Yield what fulfils a rule for one setting of a group, the nearest in time first."""
        own = set(map(id, group.frames))
        for candidate in self.pool.nearest(selection.condition, trigger.time):
            if id(candidate.frame) in own or (candidate.maker is not None and selection.source != "calibFiles"):
                continue
            if separating(self.breakpoints, candidate.frame, trigger) is not None or self.is_unmade(candidate):
                continue
            if holds(selection.condition, candidate.frame.keywords, trigger.keywords):
                yield candidate

    def is_unmade(self, candidate: Candidate) -> bool:
        """Tell whether a candidate is a raw frame that is called as what recipes make of such."""
        frame = candidate.frame
        return candidate.maker is None and frame.category in self.made and is_raw(frame.name, frame.keywords)

    def _build(self, group: FrameGroup, chosen: list[Chosen], above: tuple[FrameGroup, ...]) -> Action:
        messages: dict[str, None] = {}
        statics: dict[DatasetFile, None] = {}
        actions: dict[Action, None] = {}
        complete = usable = True
        for choice in chosen:
            if not choice.is_enough:
                complete = False
                usable = usable and choice.selection.dispensable
                messages[f"Missing {choice.selection.category}"] = None
            self._warn(group, choice)
            for candidate in choice.taken:
                if candidate.maker is None:
                    statics[as_file(candidate.frame, choice.selection.category)] = None
                    continue
                made = self.action(candidate.maker, above)
                if made.complete or made.secondary or choice.selection.least > 0:
                    actions[made] = None
                    complete = complete and made.complete
                    usable = usable and (made.complete or made.secondary)
                else:
                    messages[f"{choice.selection.category} is left out: {made.name} is incomplete"] = None
        return Action(
            name=group.execution.action,
            files=tuple(as_file(frame, frame.category) for frame in group.frames),
            statics=tuple(statics),
            actions=tuple(actions),
            complete=complete,
            secondary=usable and not complete,
            messages=tuple(messages),
        )

    def _warn(self, group: FrameGroup, choice: Chosen) -> None:
        selection = choice.selection
        name = ", ".join(frame.name for frame in choice.lacking) or group.trigger.name
        if not choice.is_enough:
            self.warnings[
                f"Could not find enough products of type {selection.category} for {name}. "
                f"Requested {selection.least}. Found {len(choice.taken)}."
            ] = None
        if choice.cyclic and not choice.is_enough:
            makers = ", ".join(
                sorted({candidate.maker.execution.action for candidate in choice.cyclic if candidate.maker is not None})
            )
            self.warnings[
                f"{selection.category} for {name} would need itself: it comes from {makers}, which needs "
                f"{group.execution.action}; this cycle in the rules is refused."
            ] = None


def _is_short(candidate: Candidate) -> bool:
    """Tell whether a product cannot be made, its maker having too few files: anything that can goes first."""
    return candidate.maker is not None and candidate.maker.is_short


def _unite(selection: Selection, parts: list[Chosen]) -> Chosen:
    """Return what was chosen for all settings of a group as one."""
    if len(parts) == 1:
        return parts[0]
    taken = dict.fromkeys(candidate for part in parts for candidate in part.taken)
    surplus = dict.fromkeys(candidate for part in parts for candidate in part.surplus if candidate not in taken)
    cyclic = dict.fromkeys(candidate for part in parts for candidate in part.cyclic)
    lacking = tuple(frame for part in parts for frame in part.lacking)
    return Chosen(selection, tuple(taken), tuple(surplus), tuple(cyclic), lacking)


def as_file(frame: Frame, category: str) -> DatasetFile:
    """Return a frame in its role."""
    return DatasetFile(frame.name, category, frame.path)


def days_between(one: Frame, other: Frame) -> float:
    """Return the days between two observations; infinite where a time is not known."""
    distance = abs(one.time - other.time)
    return inf if isnan(distance) else distance
