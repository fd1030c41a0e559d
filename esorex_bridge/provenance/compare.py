"""What differs between two reductions: inputs, parameters, versions, step by step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from esorex_bridge.provenance.document import FileEntry, InputEntry, ProvenanceDocument, StepEntry

_SHORT_DIGEST = 12


class StepDifference(Struct, frozen=True):
    """One difference.

    Parameters
    ----------
    what : str
        `pipeline`, `plugin`, `libraries`, `parameter NAME`, `input CATEGORY`, `step`.
    a, b : str
        On either side; empty where there is nothing.
    """

    what: str
    a: str
    b: str


class StepComparison(Struct, frozen=True):
    """The differences between two runs of one step; `same` where the keys agree."""

    step: str
    recipe: str
    same: bool
    changes: tuple[StepDifference, ...]


class ProductPair(Struct, frozen=True):
    """Two products of one category, or one that the other side does not have.

    Parameters
    ----------
    category : str
        `PRO CATG`.
    a, b : FileEntry or None
        None where a side has none.
    same_data : bool or None
        Whether all DATASUMs agree; None where a side states none.
    """

    category: str
    a: FileEntry | None
    b: FileEntry | None
    same_data: bool | None


class Comparison(Struct, frozen=True):
    """Two reductions side by side."""

    steps: tuple[StepComparison, ...]
    products: tuple[ProductPair, ...]

    @property
    def same(self) -> bool:
        """Whether both were made from the same content by the same recipes."""
        return all(step.same for step in self.steps)


def compare(a: ProvenanceDocument, b: ProvenanceDocument) -> Comparison:
    """Return what differs between two reductions; steps are paired by name, those left over by recipe."""
    pairs = _pair_steps(a.steps, b.steps)
    steps = tuple(_compare_steps(left, right) for left, right in pairs)
    return Comparison(steps, tuple(_pair_products(a.products, b.products)))


def _pair_steps(
    a: tuple[StepEntry, ...], b: tuple[StepEntry, ...]
) -> tuple[tuple[StepEntry | None, StepEntry | None], ...]:
    rest = list(b)
    pairs: list[tuple[StepEntry | None, StepEntry | None]] = []
    for step in a:
        other = next((each for each in rest if each.step == step.step), None)
        other = other or next((each for each in rest if each.recipe == step.recipe), None)
        if other is not None:
            rest.remove(other)
        pairs.append((step, other))
    return (*pairs, *((None, step) for step in rest))


def _compare_steps(a: StepEntry | None, b: StepEntry | None) -> StepComparison:
    if a is None or b is None:
        only = a or b
        assert only is not None
        change = StepDifference("step", only.step if a else "", only.step if b else "")
        return StepComparison(only.step, only.recipe, False, (change,))
    if a.key == b.key:
        return StepComparison(a.step, a.recipe, True, ())
    return StepComparison(a.step, a.recipe, False, tuple(_changes(a, b)))


def _changes(a: StepEntry, b: StepEntry) -> Iterator[StepDifference]:
    if a.pipeline != b.pipeline:
        yield StepDifference("pipeline", a.pipeline, b.pipeline)
    elif a.plugin_sha256 != b.plugin_sha256:
        yield StepDifference("plugin", a.plugin_sha256[:_SHORT_DIGEST], b.plugin_sha256[:_SHORT_DIGEST])
    yield from _differing("library", a.libraries, b.libraries)
    yield from _differing("parameter", _parameters(a), _parameters(b))
    yield from _input_changes(a.inputs, b.inputs)


def _differing(kind: str, a: Mapping[str, str], b: Mapping[str, str]) -> Iterator[StepDifference]:
    for name in dict.fromkeys((*a, *b)):
        if a.get(name, "") != b.get(name, ""):
            yield StepDifference(f"{kind} {name}", a.get(name, ""), b.get(name, ""))


def _parameters(step: StepEntry) -> dict[str, str]:
    return {value.name: value.value for value in step.parameters}


def _input_changes(a: Iterable[InputEntry], b: Iterable[InputEntry]) -> Iterator[StepDifference]:
    left, right = Counter(map(_content, a)), Counter(map(_content, b))
    names = {_content(entry): entry for entry in (*b, *a)}
    gone, new = left - right, right - left
    for category in dict.fromkeys(category for category, _ in (*gone, *new)):
        before = [_name(names[key]) for key in gone.elements() if key[0] == category]
        after = [_name(names[key]) for key in new.elements() if key[0] == category]
        yield StepDifference(f"input {category}", ", ".join(before), ", ".join(after))


def _content(entry: InputEntry) -> tuple[str, str]:
    return entry.category, entry.sha256 or (f"{entry.step}/{entry.product}" if entry.step else entry.file)


def _name(entry: InputEntry) -> str:
    if not entry.step:
        return f"{entry.file} ({entry.sha256[:_SHORT_DIGEST]})" if entry.sha256 else entry.file
    return f"{entry.product} of step {entry.step[:_SHORT_DIGEST]}"


def _pair_products(a: tuple[FileEntry, ...], b: tuple[FileEntry, ...]) -> Iterator[ProductPair]:
    categories = dict.fromkeys(product.category or "" for product in (*a, *b))
    for category in categories:
        left = [product for product in a if (product.category or "") == category]
        right = [product for product in b if (product.category or "") == category]
        for number in range(max(len(left), len(right))):
            yield _pair(
                category,
                left[number] if number < len(left) else None,
                right[number] if number < len(right) else None,
            )


def _pair(category: str, a: FileEntry | None, b: FileEntry | None) -> ProductPair:
    if a is None or b is None:
        return ProductPair(category, a, b, None)
    if a.sha256 == b.sha256:
        return ProductPair(category, a, b, True)
    known = bool(a.datasums) and bool(b.datasums) and all(a.datasums) and all(b.datasums)
    return ProductPair(category, a, b, a.datasums == b.datasums if known else None)
