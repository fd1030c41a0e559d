"""Why a step runs again: the difference between two statements, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator

from esorex_bridge.reuse.key import InputStatement, Statement


def difference(now: Statement, earlier: Statement | None, chosen: Collection[str] = ()) -> str:
    """Say how a step differs from an earlier one of the same recipe: `parameter r 4 → 8; 2 CAL_DARK more`.

    Parameters
    ----------
    now, earlier : Statement
        What both depend on; None where there is no earlier one.
    chosen : collection of str
        Names of files that the user chose in `review` to be inputs, or not to be.
    """
    if earlier is None:
        mine = [entry for entry in now.inputs if entry.label in chosen]
        by_review = f"chosen by review: {_names(mine)}; " if mine else ""
        return f"{by_review}no earlier run of this recipe on these data"
    parts = [*_versions(now, earlier), *_parameters(now, earlier), *_inputs(now, earlier, chosen)]
    if not parts and now.libraries != earlier.libraries:
        return "a library of the recipe is later than the earlier run, which does not say what it ran with"
    return "; ".join(parts) or "the order of the inputs differs"


def _versions(now: Statement, earlier: Statement) -> Iterator[str]:
    if now.pipeline != earlier.pipeline:
        yield f"pipeline {earlier.pipeline} → {now.pipeline}"
    elif now.plugin != earlier.plugin:
        yield f"pipeline {now.pipeline} was rebuilt"
    elif earlier.libraries and now.libraries != earlier.libraries:
        other = sorted({name for name, _ in set(now.libraries) ^ set(earlier.libraries)})
        yield f"{', '.join(other)}: another library"


def _parameters(now: Statement, earlier: Statement) -> Iterator[str]:
    before = dict(earlier.parameters)
    after = dict(now.parameters)
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield f"parameter {name.rsplit('.', 1)[-1]} {before.get(name, 'absent')} → {after.get(name, 'absent')}"


def _inputs(now: Statement, earlier: Statement, chosen: Collection[str]) -> Iterator[str]:
    categories = dict.fromkeys(entry.category for entry in (*now.inputs, *earlier.inputs))
    for category in categories:
        after = [entry for entry in now.inputs if entry.category == category]
        before = [entry for entry in earlier.inputs if entry.category == category]
        gained, lost = _only_in(after, before), _only_in(before, after)
        by_review = " by review" if any(entry.label in chosen for entry in (*gained, *lost)) else ""
        if gained and lost and Counter(e.source for e in gained) == Counter(e.source for e in lost):
            yield f"{category} changed: {_names(gained)}"
        elif gained and lost and by_review:
            yield f"{category} replaced by review: {_names(gained)} for {_names(lost)}"
        else:
            if gained:
                yield f"{len(gained)} {category} more{by_review}: {_names(gained)}"
            if lost:
                yield f"{len(lost)} {category} fewer{by_review}: {_names(lost)}"


def _only_in(these: list[InputStatement], others: list[InputStatement]) -> list[InputStatement]:
    elsewhere = {entry.content for entry in others}
    return [entry for entry in these if entry.content not in elsewhere]


def _names(entries: list[InputStatement]) -> str:
    shown = ", ".join(entry.label for entry in entries[:3])
    return shown if len(entries) <= 3 else f"{shown} and {len(entries) - 3} others"
