"""What is wrong with a workflow file, as far as a file can tell: names, links, rates, directors, recipes, placeholders.

Each rule is one that makes Kepler refuse the file, or that lets the workflow end silently with nothing done
(docs/reference/moml.md tells each).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from reflex_actors.moml.inventory import ACTORS, IN, OUT, SOURCES, KnownPort
from reflex_actors.moml.model import PARAMETER, Entity, Link, Property, Relation, recipe_of
from reflex_actors.purposes import patterns_of

PLACEHOLDER = re.compile(r"@(?:prefix|VERSION)@|\w+_PATH_TO_REPLACE")

DEFAULT_WIDTHS = (None, "", "0", "1", "-1", "Auto", "auto")
"""Widths by which one token passes, or as many as the ports settle among themselves."""

Names = Mapping[str, tuple[str, ...]]
"""Parameters that a recipe has, by recipe."""


@dataclass(frozen=True, slots=True)
class WorkflowFinding:
    """Something that is wrong.

    Parameters
    ----------
    rule : str
        Its short name.
    place : str
        Full name of the entity.
    text : str
        What is wrong, and what to do.
    """

    rule: str
    place: str
    text: str


@dataclass(frozen=True, slots=True)
class End:
    """One end of a link as seen from inside a composite.

    Parameters
    ----------
    link : Link
        As written.
    known : bool
        Whether the port is known; the rest is a guess where it is not.
    source : bool
        Whether tokens come out of it.
    multiport : bool
        Whether it takes several relations.
    """

    link: Link
    known: bool
    source: bool
    multiport: bool


def check(
    root: Entity, oddities: Iterable[tuple[str, str]] = (), recipes: Names | None = None
) -> tuple[WorkflowFinding, ...]:
    """Return what is wrong with a workflow.

    Parameters
    ----------
    root : Entity
        The workflow.
    oddities : iterable of (str, str)
        What the reader found to be against the document type.
    recipes : mapping, optional
        Installed recipes with their parameters; recipes are not looked at without.
    """
    found = [WorkflowFinding("document", place, text) for place, text in oddities]
    found += _check_root(root)
    directors: dict[str, str] = {}
    for place, entity in root.walk():
        directors[place] = entity.director.cls if entity.director else directors.get(place.rpartition(".")[0], "")
        rules = (*_RULES, _find_endless) if directors[place].endswith("DDFDirector") else _RULES
        for rule in rules:
            found += (WorkflowFinding(rule.__name__.strip("_"), place, text) for text in rule(entity))
        if recipes is not None and entity.cls == "org.eso.RecipeExecuter":
            found += (WorkflowFinding("recipe", place, text) for text in _recipe(entity, recipes))
    return tuple(found)


def ends_of(composite: Entity) -> tuple[End, ...]:
    """Return the ends of all links in a composite."""
    return tuple(_end(composite, link) for link in composite.links)


def _end(composite: Entity, link: Link) -> End:
    actor, name = link.ends
    owner = composite if actor is None else composite.entity(actor)
    port = owner.port(name) if owner else None
    known = ACTORS[owner.cls].port(name) if owner and owner.cls in ACTORS else None
    if port is None and known is None:
        return End(link, False, False, True)
    outwards = port.has(OUT) if port and (port.has(IN) or port.has(OUT)) else (known or _NOWHERE).direction == OUT
    multiport = bool((port and port.has("multiport")) or (known and known.multiport))
    return End(link, True, outwards if actor is not None else not outwards, multiport)


_NOWHERE = KnownPort("", IN)


def _check_root(root: Entity) -> Iterator[WorkflowFinding]:
    place = f".{root.name}"
    if root.attribute("entityId") is None:
        yield WorkflowFinding("identity", place, "it has no entityId (an LSID), by which Kepler knows a workflow")
    if root.director is None:
        yield WorkflowFinding("director", place, "it has no director, so nothing would run")
    elif _setting(root, "runUntilDeadlockInOneIteration") == "true":
        yield WorkflowFinding(
            "director", place, "runUntilDeadlockInOneIteration is true, which the engine refuses at the top"
        )


def _find_unheld(entity: Entity) -> Iterator[str]:
    """Yield that nothing keeps the next dataset back until one is closed.

    The engine opens a dataset early unless a token of the one before waits: in the actor that closes it.
    """
    opening = next((each for each in entity.entities if _holds(each, "org.eso.CurrentDataSet")), None)
    router = next((each for each in entity.entities if each.cls == "org.eso.FitsRouter"), None)
    if opening is None or router is None:
        return
    onward = _onward(entity)
    behind = _find_reached(onward, router.name)
    if router.name in onward.get(opening.name, set()) and not behind.intersection(onward[opening.name]):
        yield (
            f"nothing links {opening.name} to the actor that closes a dataset, so the next dataset is opened while "
            "one is still under way, and products are filed under the wrong one"
        )


def _holds(entity: Entity, cls: str) -> bool:
    return any(each.cls == cls for _, each in entity.walk())


def _onward(composite: Entity) -> dict[str, set[str]]:
    """Return for each actor of a composite those that it sends to."""
    one = composite.one_relation()
    senders: dict[str, set[str]] = {}
    readers: dict[str, set[str]] = {}
    for end in ends_of(composite):
        side = senders if end.source else readers
        side.setdefault(one.get(end.link.relation, end.link.relation), set()).add(end.link.ends[0] or "")
    found: dict[str, set[str]] = {}
    for relation, names in senders.items():
        for name in names:
            found.setdefault(name, set()).update(readers.get(relation, set()))
    return found


def _find_reached(onward: Mapping[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        for name in onward.get(waiting.pop(), set()) - seen:
            seen.add(name)
            waiting.append(name)
    return seen


def _director(entity: Entity) -> Iterator[str]:
    if entity.director is None or entity.attribute("entityId") is not None:
        return
    if entity.director.cls.endswith("DDFDirector") and entity.is_composite:
        if _setting(entity, "runUntilDeadlockInOneIteration") != "true":
            yield "runUntilDeadlockInOneIteration must be true inside a composite; else it fires one actor and returns"
        if _setting(entity, "iterations") not in ("0", None):
            yield "iterations must be 0 inside a composite; else it works for the first dataset and never again"


def _setting(entity: Entity, name: str) -> str | None:
    found = entity.director.attribute(name) if entity.director else None
    return found.value if found else None


def _names(entity: Entity) -> Iterator[str]:
    for kind, names in (
        ("actors", [each.name for each in entity.entities]),
        ("relations", [each.name for each in entity.relations]),
        ("ports", [each.name for each in entity.ports]),
        ("properties", [each.name for each in entity.properties]),
    ):
        for name, number in Counter(names).items():
            if number > 1:
                yield f"{number} {kind} have the name '{name}'"
    if "." in entity.name:
        yield "its name holds a period, which Kepler does not allow"


def _links(entity: Entity) -> Iterator[str]:
    relations = {relation.name for relation in entity.relations}
    for link in entity.links:
        if link.relation not in relations:
            yield f"link of {link.port} names the relation '{link.relation}', which is not there"
        actor, port = link.ends
        owner = entity if actor is None else entity.entity(actor)
        if owner is None:
            yield f"link of {link.port}: there is no actor '{actor}'"
        elif owner.port(port) is None and _must_declare(owner, port):
            yield f"link of {link.port}: {'this composite' if actor is None else repr(actor)} has no port '{port}'"


def _must_declare(owner: Entity, port: str) -> bool:
    """Tell whether a port that is not declared is not there: composites, and actors whose ports are known."""
    if owner.is_composite:
        return True
    return owner.cls in ACTORS and ACTORS[owner.cls].port(port) is None


def _relations(entity: Entity) -> Iterator[str]:
    ends = ends_of(entity)
    one = entity.one_relation()
    by_relation: dict[str, list[End]] = {}
    for end in ends:
        by_relation.setdefault(one.get(end.link.relation, end.link.relation), []).append(end)
    for relation in entity.relations:
        if one[relation.name] == relation.name:
            yield from _relation(relation, by_relation.get(relation.name, []))
    yield from _find_crowded(ends)


def _relation(relation: Relation, ends: list[End]) -> Iterator[str]:
    sources = [end.link.port for end in ends if end.source]
    sinks = [end.link.port for end in ends if end.known and not end.source]
    if sinks and not sources and all(end.known for end in ends):
        yield f"{', '.join(sinks)} is linked to no source ({relation.name}), so its actor waits for ever"
    if len(sources) > 1:
        yield f"{' and '.join(sources)} send into one channel ({relation.name}); the reader fires once for each"
    if relation.width not in DEFAULT_WIDTHS and ends and not any(end.multiport for end in ends):
        yield f"{relation.name} has width {relation.width}, and no port on it is a multiport"


def _find_crowded(ends: Iterable[End]) -> Iterator[str]:
    counts = Counter(end.link.port for end in ends if end.known and not end.multiport)
    for port, number in counts.items():
        if number > 1:
            yield f"{port} takes one relation and is linked to {number}"


def _find_unconnected(entity: Entity) -> Iterator[str]:
    linked = {link.port for link in entity.links}
    for actor in entity.entities:
        for port in ACTORS[actor.cls].ports if actor.cls in ACTORS else ():
            if port.needed and f"{actor.name}.{port.name}" not in linked:
                yield f"{actor.name}.{port.name} is not connected"
        if actor.cls == "org.eso.PythonActor" and not any(name.startswith(f"{actor.name}.") for name in linked):
            yield f"{actor.name} is not connected"


def _find_endless(composite: Entity) -> Iterator[str]:
    """Yield constants that dataflow which is not scheduled beforehand (DDF) fires on and on."""
    linked = {link.port for link in composite.links}
    for actor in composite.entities:
        unlimited = actor.cls in SOURCES and actor.value("firingCountLimit") in (None, "NONE", "0")
        if unlimited and f"{actor.name}.trigger" not in linked:
            yield f"{actor.name} has no trigger and no firingCountLimit, so it fires for ever"


def _rates(entity: Entity) -> Iterator[str]:
    if not entity.is_composite:
        return
    for port in entity.ports:
        for name in ("tokenConsumptionRate", "tokenProductionRate"):
            if port.rate(name) is not None:
                yield f"{name} on the composite's port {port.name} holds back datasets; take it away"


def _loop(entity: Entity) -> Iterator[str]:
    """Yield constants that start a step once although it runs once for each group."""
    for actor in entity.entities:
        if actor.cls != "org.eso.SopCreator":
            continue
        makers = _before(entity, f"{actor.name}.param in")
        for maker in makers:
            if maker.cls in SOURCES and not _is_triggered(entity, maker):
                yield f"{maker.name} gives parameters once, and the step needs them for each group; trigger it"


def _before(composite: Entity, port: str) -> list[Entity]:
    one = composite.one_relation()
    relations = {one.get(link.relation) for link in composite.links if link.port == port}
    names = {link.ends[0] for link in composite.links if one.get(link.relation) in relations and link.port != port}
    return [each for each in composite.entities if each.name in names]


def _is_triggered(composite: Entity, actor: Entity) -> bool:
    return any(link.port == f"{actor.name}.trigger" for link in composite.links)


def _expressions(entity: Entity) -> Iterator[str]:
    if entity.cls != "org.eso.FitsRouter":
        return
    ports = {port.name for port in entity.ports}
    settings = {each.name.removesuffix("_config"): each for each in entity.properties if each.name.endswith("_config")}
    routed = [pattern for port, each in settings.items() if port in ports for pattern in _patterns(each)]
    for port, each in settings.items():
        if each.cls == PARAMETER and each.value is not None and not each.value.startswith('"'):
            yield f"{each.name} is an expression and holds a text without quotes; make it a StringParameter"
        # What an author left behind does no harm where its files go out by another port.
        if port not in ports and not all(_is_routed(name, routed) for name in _patterns(each)):
            yield f"{each.name} configures the port {port}, which is not there"


def _is_routed(category: str, patterns: Iterable[str]) -> bool:
    with suppress(re.error):
        return any(re.fullmatch(each, category) for each in patterns)
    return False


def _patterns(setting: Property) -> tuple[str, ...]:
    return patterns_of((setting.value or "").strip('"'))


def _placeholders(entity: Entity) -> Iterator[str]:
    for each in entity.properties:
        if each.value and (found := PLACEHOLDER.search(each.value)):
            yield f"{each.name} holds the placeholder {found.group()}; put the path in"


def _recipe(entity: Entity, recipes: Names) -> Iterator[str]:
    recipe = recipe_of(entity)
    if recipe == entity.name:
        yield "its name must be <recipe>_<number>"
        return
    if recipe not in recipes:
        yield f"recipe {recipe} is not installed here"
        return
    for each in entity.properties:
        if re.fullmatch(r"recipe_param_\d+", each.name) and each.value:
            name = each.value.partition("=")[0]
            if name not in recipes[recipe]:
                yield f"recipe {recipe} has no parameter '{name}' ({each.name})"


_RULES: tuple[Callable[[Entity], Iterator[str]], ...] = (
    _director,
    _names,
    _links,
    _relations,
    _find_unconnected,
    _rates,
    _loop,
    _expressions,
    _placeholders,
    _find_unheld,
)
