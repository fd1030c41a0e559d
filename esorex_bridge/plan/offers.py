"""What could serve under a calibration tag: files as they are, or what is made of the groups of an action and below."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from msgspec import Struct

from esorex_bridge.datasets.association import Match
from esorex_bridge.datasets.dataset import Action, DatasetFile, Purpose
from esorex_bridge.datasets.shared import Shared
from esorex_bridge.definitions.steps import Calibration
from esorex_bridge.plan.groups import Group, keywords_of
from esorex_bridge.plan.plan import HeadersByPath, Keywords, Reason

GroupsOf = Callable[[Action, Purpose], tuple[Group, ...]]
"""Returns the groups that the files of an action make."""


class Offer(Struct, frozen=True):
    """Something that could serve under a calibration tag: a file as it is, or the products of a group's run.

    Parameters
    ----------
    label : str
        What it is, in words.
    category : str
        Of the file or product.
    keywords : mapping
        Of the file, or of the first file that the product is made from.
    file : DatasetFile or None
        The file.
    group : Group or None
        Whose run makes it.
    action : Action or None
        Where it comes from, where that is not the action that it is for.
    depth : int or None
        How far below that action it stands: 0 for what its own raws become, None for its own files.
    bound : bool
        Whether calSelector, final rules or the user put it there.
    match : {'calib_plan', 'extended', 'N/A'} or None
        What calSelector says of it.
    certified : bool
        Whether ESO certified the association.
    objection : (Reason, str) or None
        Why it is no product of its category, where it is a raw frame and a recipe makes those.
    """

    label: str
    category: str
    keywords: Keywords
    file: DatasetFile | None = None
    group: Group | None = None
    action: Action | None = None
    depth: int | None = None
    bound: bool = False
    match: Match | None = None
    certified: bool = True
    objection: tuple[Reason, str] | None = None

    @property
    def shortage(self) -> str:
        """Why it cannot be made, where its raws are too few."""
        return self.group.shortage if self.group is not None else ""

    @property
    def files(self) -> tuple[DatasetFile, ...]:
        """The file, or those that it is made from."""
        if self.file is not None:
            return (self.file,)
        return self.group.files if self.group is not None else ()


def offers_for(
    calibration: Calibration,
    group: Group,
    headers: HeadersByPath,
    groups_of: GroupsOf,
    shared: Shared,
    final: bool = False,
) -> tuple[Offer, ...]:
    """Return what offers itself under a tag of a group's step, each once: sub-trees repeat, the nearest comes first.

    That are other files of the action, what other steps make of its files, and what lies below, however far; where the
    user replaced what would be made, that alone. Of associations that are `final` what lies directly below.
    """
    action, purpose = group.action, group.purpose
    here = [file for file in (*action.statics, *action.files) if file.category in calibration.accepted]
    own = [file for file in here if file.category in action.replaced]
    taken = [file for file in own or here if file.category not in group.definition.main]
    nearest = [_of_file(file, headers, bound=final or bool(own) or file.match is not None) for file in taken]
    if own:
        return tuple(_distinct(nearest).values())
    for other in groups_of(action, purpose):
        if not other.comes_from(group.definition):
            nearest.extend(_of_products(calibration, other, headers, depth=0))
    above = _distinct(nearest)
    question = "offers", calibration, action.actions, purpose, final
    below = shared.once(
        question, lambda: _distinct(_offers_below(calibration, action, purpose, headers, groups_of, final))
    )
    return tuple((above | below | above).values())


def _offers_below(
    calibration: Calibration,
    action: Action,
    purpose: Purpose,
    headers: HeadersByPath,
    groups_of: GroupsOf,
    final: bool,
) -> Iterator[Offer]:
    """Yield what actions below one offer."""
    level = [(child, Purpose(f"{child.name}/{purpose}")) for child in action.actions if not child.auxiliary]
    depth = 1
    while level:
        for child, path in dict.fromkeys(level):
            bound = depth == 1 and (final or child.match is not None)
            yield from _of_action(calibration, child, path, headers, groups_of, depth, bound)
        if final:
            return
        level = [
            (child, Purpose(f"{child.name}/{path}"))
            for above, path in level
            for child in above.actions
            if not child.auxiliary
        ]
        depth += 1


def _of_action(
    calibration: Calibration,
    child: Action,
    purpose: Purpose,
    headers: HeadersByPath,
    groups_of: GroupsOf,
    depth: int,
    bound: bool,
) -> Iterator[Offer]:
    accepted = calibration.accepted
    for file in child.files:
        if file.category in accepted:
            yield _of_file(file, headers, bound, child, depth)
    for group in groups_of(child, purpose):
        yield from _of_products(calibration, group, headers, depth, bound)


def _of_file(
    file: DatasetFile, headers: HeadersByPath, bound: bool, action: Action | None = None, depth: int | None = None
) -> Offer:
    return Offer(
        file.name,
        file.category,
        keywords_of(file, headers),
        file=file,
        action=action,
        depth=depth,
        bound=bound,
        match=file.match,
        certified=file.certified,
    )


def _of_products(
    calibration: Calibration, group: Group, headers: HeadersByPath, depth: int, bound: bool = False
) -> Iterator[Offer]:
    action, accepted = group.action, calibration.accepted
    for product in group.definition.products:
        if product in accepted:
            yield Offer(
                group.label,
                product,
                group.keywords(headers),
                group=group,
                action=action,
                depth=depth,
                bound=bound,
                match=action.match,
                certified=action.certified,
            )


def _distinct(offers: Iterable[Offer]) -> dict[tuple[object, ...], Offer]:
    """Return offers by what they say; of those that say the same the first."""
    found: dict[tuple[object, ...], Offer] = {}
    for offer in offers:
        made_by = offer.group and (offer.group.definition.name, offer.group.action.name, offer.group.setup)
        found.setdefault((offer.category, tuple(file.name for file in offer.files), made_by), offer)
    return found
