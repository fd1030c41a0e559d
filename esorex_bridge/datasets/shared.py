"""What several datasets share, worked out once: the calibrations of a night stand in the trees of all its frames."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial
from typing import TypeVar, cast

from esorex_bridge.datasets.dataset import Action, walk_actions

_MOST = 20_000
"""So many answers are kept: those of some hundred nights, in some ten megabytes."""

Answer = TypeVar("Answer")


class Shared:
    """Answers that depend on values alone, by these values; all are forgotten when they are too many.

    It lives as long as that from which the answers come besides is taken as known: headers, where files lie.
    """

    def __init__(self) -> None:
        self._answers: dict[Hashable, object] = {}

    def once(self, question: Hashable, work: Callable[[], Answer]) -> Answer:
        """Return the answer to a question, worked out where it is not known."""
        try:
            return cast(Answer, self._answers[question])
        except KeyError:
            answer = work()
        if len(self._answers) >= _MOST:
            self._answers.clear()
        self._answers[question] = answer
        return answer

    def of_actions(self, root: Action, what: str, work: Callable[[Action], Answer]) -> list[Answer]:
        """Return an answer for every distinct action of a dataset; of all but the root's own it is kept."""
        below = dict.fromkeys(action for action, _ in walk_actions(root) if action is not root)
        return [work(root), *(self.once((what, action), partial(work, action)) for action in below)]
