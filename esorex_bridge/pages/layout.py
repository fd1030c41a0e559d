"""A layered layout of a cascade: makers left of users, few crossings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_SWEEPS = 4

Place = tuple[int, int]
"""Column and row, from 0."""


def place_nodes(needs: Mapping[str, Sequence[str]]) -> dict[str, Place]:
    """Return a place for each node of a graph without circles.

    Parameters
    ----------
    needs : mapping of str to sequence of str
        For each node those that it needs; what is no node is passed over.

    Notes
    -----
    The column of a node is the longest way to it; the order within a column is by the mean row of its neighbours, swept
    forwards and backwards (the barycentre heuristic of Sugiyama, Tagawa and Toda 1981).
    """
    columns = _columns(needs)
    order: list[list[str]] = [[] for _ in range(max(columns.values(), default=-1) + 1)]
    for node, column in columns.items():
        order[column].append(node)
    users = _users(needs)
    for sweep in range(_SWEEPS):
        forwards = sweep % 2 == 0
        neighbours = needs if forwards else users
        for nodes in order if forwards else reversed(order):
            _sort(nodes, neighbours, {node: row for each in order for row, node in enumerate(each)})
    return {node: (number, row) for number, column in enumerate(order) for row, node in enumerate(column)}


def _columns(needs: Mapping[str, Sequence[str]]) -> dict[str, int]:
    found: dict[str, int] = {}

    def column(node: str, above: tuple[str, ...]) -> int:
        if node not in found:
            if node in above:
                raise ValueError(f"circular dependency: {' -> '.join((*above, node))}")
            found[node] = max((column(need, (*above, node)) + 1 for need in needs[node] if need in needs), default=0)
        return found[node]

    for node in needs:
        column(node, ())
    return {node: found[node] for node in needs}


def _users(needs: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    users: dict[str, list[str]] = {node: [] for node in needs}
    for node, wanted in needs.items():
        for need in wanted:
            if need in users:
                users[need].append(node)
    return users


def _sort(column: list[str], neighbours: Mapping[str, Sequence[str]], rows: Mapping[str, int]) -> None:
    def mean(node: str) -> float:
        near = [rows[other] for other in neighbours[node] if other in rows]
        return sum(near) / len(near) if near else float(rows[node])

    column.sort(key=mean)
