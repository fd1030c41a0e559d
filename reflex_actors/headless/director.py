"""Dynamic dataflow: which actor fires next, as Ptolemy's DDF director decides it.

In each round all actors fire that have what they need and whose products somebody waits for; where there is none, those
fire whose readers have the fewest tokens waiting. So a dataset is not opened while the one before is still under way.
"""

from __future__ import annotations

from collections.abc import Callable

from reflex_actors.headless.network import Channel, InPort, Network, RunningActor
from reflex_actors.headless.tokens import Token, WorkflowError

Fire = Callable[[], bool | None]
"""Fires an actor once; False: it never fires again."""

MOST_FIRINGS = 1_000_000
"""More than any workflow has; one that fires on and on is stopped."""


class Director:
    """Fires the actors of a workflow.

    Parameters
    ----------
    network : Network
        The whole workflow.
    fires : callable
        Returns how an actor fires.
    """

    def __init__(self, network: Network, fires: Callable[[RunningActor], Fire]) -> None:
        self._network = network
        self._fire = {id(node): fires(node) for node in network.walk() if node.inner is None}
        self._retired: set[int] = set()
        self._firings = 0

    def run(self, between: Callable[[], None]) -> None:
        """Run the workflow until nothing can fire.

        Parameters
        ----------
        between : callable
            Called after each round of the outermost actors.
        """
        while self._round(self._network):
            between()

    def _round(self, network: Network) -> bool:
        ready = [node for node in network.nodes if id(node) not in self._retired and _is_enabled(node)]
        waited_for = [node for node in ready if not _is_deferrable(node)]
        chosen = waited_for or _least_ahead(ready)
        for node in chosen:
            self._fire_one(node)
        return bool(chosen)

    def _fire_one(self, node: RunningActor) -> None:
        self._firings += 1
        if self._firings > MOST_FIRINGS:
            raise WorkflowError(f"{node.path} fires on and on; has it a source without trigger or limit before it?")
        again = self._fire_composite(node, node.inner) if node.inner else self._fire[id(node)]()
        if again is False:
            self._retired.add(id(node))

    def _fire_composite(self, node: RunningActor, inner: Network) -> bool:
        for name, entrance in inner.entrances.items():
            for number, channel in enumerate(node.inputs[name].channels if name in node.inputs else ()):
                if channel.queue:
                    entrance.send_on(number, channel.queue.popleft())
        for port in node.inputs.values():
            if port.name not in inner.entrances:
                node.take(port.name)
        while self._round(inner):
            pass
        for name, exit_port in inner.exits.items():
            _hand_on(node, name, exit_port)
        return bool(node.inputs)


def _hand_on(node: RunningActor, name: str, exit_port: InPort) -> None:
    for number, channel in enumerate(exit_port.channels):
        while channel.queue:
            token: Token = channel.queue.popleft()
            if name in node.outputs:
                node.outputs[name].send_on(number, token)


def _is_enabled(node: RunningActor) -> bool:
    return all(port.ready for port in node.inputs.values())


def _is_deferrable(node: RunningActor) -> bool:
    """Tell whether a reader of what it sends has enough waiting already."""
    return any(len(channel.queue) >= channel.into.rate for channel in _readers(node))


def _least_ahead(nodes: list[RunningActor]) -> list[RunningActor]:
    ahead = [max(len(channel.queue) for channel in _readers(node)) for node in nodes]
    return [node for node, number in zip(nodes, ahead, strict=True) if number == min(ahead)]


def _readers(node: RunningActor) -> list[Channel]:
    return [
        channel
        for port in node.outputs.values()
        for link in port.links
        for channel in link
        if not channel.into.collects and channel.into.owner is not node
    ]
