"""A workflow ready to run: actors with their inputs as queues, wired through joined relations and composites."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct, field

from reflex_actors.headless.tokens import Token
from reflex_actors.headless.variables import Variables
from reflex_actors.moml.inventory import ACTORS, IN, OUT
from reflex_actors.moml.model import Entity, Link

DEFAULT_RATE = 1


class Channel:
    """A queue of tokens: one link of an input, or of a composite's output as seen from inside."""

    __slots__ = ("into", "queue")

    def __init__(self, into: InPort) -> None:
        self.into = into
        self.queue: deque[Token] = deque()


class InPort:
    """An input of an actor, or an output of a composite as seen from inside.

    Parameters
    ----------
    owner : Node
        Whose it is.
    name : str
        Its name.
    collects : bool
        Whether it is an output of a composite: it takes any number of tokens.
    """

    __slots__ = ("channels", "collects", "name", "owner", "rate")

    def __init__(self, owner: RunningActor, name: str, collects: bool = False) -> None:
        self.owner, self.name, self.collects = owner, name, collects
        self.rate = DEFAULT_RATE
        self.channels: list[Channel] = []

    @property
    def ready(self) -> bool:
        """Whether every channel holds as many tokens as one firing takes."""
        return self.rate <= 0 or all(len(channel.queue) >= self.rate for channel in self.channels)


class OutPort:
    """An output of an actor, or an input of a composite as seen from inside: for each link, where tokens go."""

    __slots__ = ("links", "name", "owner")

    def __init__(self, owner: RunningActor, name: str) -> None:
        self.owner, self.name = owner, name
        self.links: list[list[Channel]] = []

    def send(self, token: Token) -> None:
        """Send a token on every link."""
        for number in range(len(self.links)):
            self.send_on(number, token)

    def send_on(self, number: int, token: Token) -> None:
        """Send a token on one link; it is lost where there is none."""
        for channel in self.links[number] if number < len(self.links) else ():
            channel.queue.append(token)


class RunningActor:
    """An actor, or a composite with its own director, in a running workflow.

    Parameters
    ----------
    path : str
        Full name, without that of the workflow.
    entity : Entity
        As written in the file.
    variables : Variables
        Its parameters.
    """

    def __init__(self, path: str, entity: Entity, variables: Variables) -> None:
        self.path, self.entity, self.variables = path, entity, variables
        self.inputs: dict[str, InPort] = {}
        self.outputs: dict[str, OutPort] = {}
        self.inner: Network | None = None

    @property
    def name(self) -> str:
        """Its own name."""
        return self.entity.name

    def take(self, port: str) -> list[Token]:
        """Return one token of each channel of an input that holds one."""
        found = self.inputs.get(port)
        return [channel.queue.popleft() for channel in found.channels if channel.queue] if found else []

    def send(self, port: str, token: Token) -> None:
        """Send a token; nothing happens where the output is not linked."""
        if port in self.outputs:
            self.outputs[port].send(token)

    def rate(self, port: str, number: int) -> None:
        """Set how many tokens an input takes at each firing."""
        if port in self.inputs:
            self.inputs[port].rate = number

    def text(self, name: str, default: str = "") -> str:
        """Return one of its parameters as text."""
        return self.variables.text(name, default)

    def flag(self, name: str, default: bool = False) -> bool:
        """Return one of its parameters as true or false."""
        return self.text(name, "true" if default else "false").strip().lower() == "true"


class Network(Struct):
    """The actors that one director fires, in the order of the file.

    Parameters
    ----------
    nodes : list of Node
        The actors and the composites with directors of their own.
    entrances : dict of str to OutPort
        Inputs of the composite, as seen from inside.
    exits : dict of str to InPort
        Outputs of the composite, as seen from inside.
    """

    nodes: list[RunningActor] = field(default_factory=list)
    entrances: dict[str, OutPort] = field(default_factory=dict)
    exits: dict[str, InPort] = field(default_factory=dict)

    def walk(self) -> Iterator[RunningActor]:
        """Yield all actors and composites, outermost first."""
        for node in self.nodes:
            yield node
            if node.inner is not None:
                yield from node.inner.walk()


Texts = Mapping[str, tuple[str, ...]]
"""By class, patterns of the parameters that an actor treats as texts."""


def build(root: Entity, texts: Texts) -> tuple[Network, Variables]:
    """Return the network of a workflow with its global parameters."""
    variables = Variables(root)
    return _Builder(texts).network(_Place(root, variables, "", {}), None), variables


def direction(owner: Entity, port: str) -> str | None:
    """Return `input` or `output`, as the file declares or the actor is known to have it; None where nobody says."""
    declared = owner.port(port)
    if declared is not None and (declared.has(IN) or declared.has(OUT)):
        return OUT if declared.has(OUT) else IN
    known = ACTORS[owner.cls].port(port) if owner.cls in ACTORS else None
    if known is not None:
        return known.direction
    parameter = owner.attribute(port)
    return IN if parameter is not None and parameter.cls.endswith("PortParameter") else None


def is_multiport(owner: Entity, port: str) -> bool:
    """Tell whether a port takes several relations."""
    declared = owner.port(port)
    known = ACTORS[owner.cls].port(port) if owner.cls in ACTORS else None
    return bool((declared and declared.has("multiport")) or (known and known.multiport))


def find_widths(composite: Entity, outside: Mapping[str, int]) -> dict[str, int]:
    """Return how many tokens pass each relation of a composite side by side, where these are several.

    A width that the file leaves open is that of the composite's own input, if the relation alone goes on from there.

    Parameters
    ----------
    composite : Entity
        Whose relations.
    outside : mapping of str to int
        How many channels come to its ports from outside.
    """
    one = composite.one_relation()
    written = {one[each.name]: int(each.width) for each in composite.relations if each.width and each.width.isdigit()}
    found = {relation: width for relation, width in written.items() if width > 1}
    ways: dict[str, list[str]] = {}
    for link in composite.links:
        if link.ends[0] is None and is_multiport(composite, link.port) and direction(composite, link.port) == IN:
            ways.setdefault(link.port, []).append(one.get(link.relation, link.relation))
    for port, relations in ways.items():
        if len(relations) == 1 and not written.get(relations[0]) and outside.get(port, 1) > 1:
            found[relations[0]] = outside[port]
    return found


class _Place:
    """A composite while it is built; without a director of its own it counts as part of what it stands in.

    Parameters
    ----------
    entity : Entity
        The composite.
    variables : Variables
        Its parameters.
    path : str
        Its full name.
    outside : mapping of str to int
        How many channels come to its ports from outside.
    """

    def __init__(self, entity: Entity, variables: Variables, path: str, outside: Mapping[str, int]) -> None:
        self.entity, self.variables, self.path = entity, variables, path
        self._one = entity.one_relation()
        self._widths = find_widths(entity, outside)

    def inner_path(self, child: str) -> str:
        """Return the full name of an actor in it."""
        return f"{self.path}.{child}" if self.path else child

    def relation(self, name: str) -> str:
        """Return what names a relation in the whole workflow; relations that are joined are one."""
        return f"{self.path}:{self._one.get(name, name)}"

    def width(self, relation: str) -> int:
        """Return how many tokens pass a relation side by side."""
        return self._widths.get(self._one.get(relation, relation), 1)

    def channels_to(self, child: Entity) -> dict[str, int]:
        """Return how many channels come to each port of an actor in it."""
        found: dict[str, int] = {}
        for link in self.entity.links:
            actor, port = link.ends
            if actor == child.name:
                found[port] = found.get(port, 0) + self.width(link.relation)
        return found


class _Builder:
    """Makes networks, one a director."""

    def __init__(self, texts: Texts) -> None:
        self._texts = texts

    def network(self, place: _Place, shell: RunningActor | None) -> Network:
        network = Network()
        wiring = _Wiring()
        self._fill(network, wiring, place, shell)
        wiring.connect()
        return network

    def _fill(self, network: Network, wiring: _Wiring, place: _Place, shell: RunningActor | None) -> None:
        nodes: dict[str, RunningActor] = {}
        for child in place.entity.entities:
            variables = Variables(child, place.variables, self._texts.get(child.cls, ()))
            inside = _Place(child, variables, place.inner_path(child.name), place.channels_to(child))
            if child.is_composite and child.director is None:
                self._fill(network, wiring, inside, None)
            else:
                nodes[child.name] = self._node(inside)
                network.nodes.append(nodes[child.name])
        for link in place.entity.links:
            if link.ends[0] is None:
                _link_outwards(network, wiring, place, link, shell)
            else:
                _link_actor(wiring, place, nodes.get(link.ends[0]), link)

    def _node(self, place: _Place) -> RunningActor:
        node = RunningActor(place.path, place.entity, place.variables)
        if place.entity.is_composite:
            node.inner = self.network(place, node)
        return node


def _link_outwards(network: Network, wiring: _Wiring, place: _Place, link: Link, shell: RunningActor | None) -> None:
    """Link a port of the composite itself, as seen from inside."""
    port, relation, width = link.port, place.relation(link.relation), place.width(link.relation)
    if shell is None:
        wiring.through(f"{place.path}|{port}", relation, width, "inside")
    elif direction(place.entity, port) == OUT:
        wiring.sink(relation, network.exits.setdefault(port, InPort(shell, port, collects=True)), width)
    else:
        wiring.source(relation, network.entrances.setdefault(port, OutPort(shell, port)), width)


def _link_actor(wiring: _Wiring, place: _Place, node: RunningActor | None, link: Link) -> None:
    """Link a port of an actor; one that has no node is a composite without a director."""
    actor, port = link.ends
    relation, width = place.relation(link.relation), place.width(link.relation)
    if node is None:
        wiring.through(f"{place.inner_path(actor or '')}|{port}", relation, width, "outside")
    elif direction(node.entity, port) == OUT:
        wiring.source(relation, node.outputs.setdefault(port, OutPort(node, port)), width)
    else:
        several = is_multiport(node.entity, port)
        wiring.sink(relation, node.inputs.setdefault(port, InPort(node, port)), width if several else 1)


Lane = tuple[str, int]
"""A relation, or a port of a composite without a director, and which of the tokens side by side."""


class _Wiring:
    """Relations that meet in a port without a director behind it are one; what is on them is connected at the end."""

    def __init__(self) -> None:
        self._above: dict[Lane, Lane] = {}
        self._passed: dict[tuple[str, str], int] = {}
        self._sinks: list[tuple[Lane, Channel]] = []
        self._sources: list[tuple[Lane, list[Channel]]] = []

    def through(self, port: str, relation: str, width: int, side: str) -> None:
        """Lead a relation through a port of a composite without a director; its channels follow those before."""
        for number in range(width):
            lane = self._passed.get((port, side), 0)
            self._passed[port, side] = lane + 1
            self._above[self._top((relation, number))] = self._top((port, lane))

    def sink(self, relation: str, port: InPort, width: int = 1) -> None:
        """Link an input."""
        for number in range(width):
            port.channels.append(Channel(port))
            self._sinks.append(((relation, number), port.channels[-1]))

    def source(self, relation: str, port: OutPort, width: int = 1) -> None:
        """Link an output."""
        for number in range(width):
            port.links.append([])
            self._sources.append(((relation, number), port.links[-1]))

    def connect(self) -> None:
        """Lead every output to all inputs on its relation."""
        by_lane: dict[Lane, list[Channel]] = {}
        for lane, channel in self._sinks:
            by_lane.setdefault(self._top(lane), []).append(channel)
        for lane, channels in self._sources:
            channels += by_lane.get(self._top(lane), [])

    def _top(self, lane: Lane) -> Lane:
        while lane in self._above:
            lane = self._above[lane]
        return lane


def feeds_itself(node: RunningActor) -> bool:
    """Tell whether what an actor sends comes back to it."""
    seen: set[int] = set()
    waiting = [node]
    while waiting:
        each = waiting.pop()
        for port in each.outputs.values():
            for channel in _sinks(port):
                reached = channel.into.owner
                if reached is node:
                    return True
                if id(reached) not in seen and not channel.into.collects:
                    seen.add(id(reached))
                    waiting.append(reached)
    return False


def _sinks(port: OutPort) -> Iterable[Channel]:
    return (channel for link in port.links for channel in link)
