"""How the code is put together: no circles of files, no long functions, and what decides never touches the disk."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("esorex_bridge", "reflex_actors")
LONGEST_BODY = 50

DECIDING = ("datasets", "definitions", "plan", "reuse")
"""Folders of `esorex_bridge` whose modules take values and return values."""

READS_DISK = frozenset({"esorex_bridge/definitions/folders.py", "esorex_bridge/definitions/installed_rules.py"})
"""Modules in these folders that read the disk all the same: they find and read definition files and rule files."""

DISK_METHODS = frozenset(
    [
        "chmod",
        "exists",
        "expanduser",
        "glob",
        "is_dir",
        "is_file",
        "is_symlink",
        "iterdir",
        "lstat",
        "mkdir",
        "open",
        "read_bytes",
        "read_text",
        "readlink",
        "resolve",
        "rglob",
        "rmdir",
        "samefile",
        "stat",
        "symlink_to",
        "touch",
        "unlink",
        "write_bytes",
        "write_text",
        "cwd",
        "home",
    ]
)


@cache
def trees() -> dict[str, tuple[Path, ast.Module]]:
    """Return every module of the packages by its dotted name, parsed."""
    found = {}
    for path in sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = path, ast.parse(path.read_text(encoding="utf-8"))
    return found


@cache
def nodes() -> dict[str, tuple[ast.AST, ...]]:
    """Return the nodes of every module by its dotted name."""
    return {module: tuple(ast.walk(tree)) for module, (_, tree) in trees().items()}


PYTHON_ALONE = frozenset({"reflex_actors/protocol.py"})
"""What runs on any Python, without the package: it says that this is missing."""

STARTS_FAST = frozenset(f"esorex_bridge/lazy/{name}.py" for name in ("lazy_store", "replay"))
"""Parts of `esorex-lazy` that must not load the rest: its hits take some milliseconds."""

RENAMING = (
    # A download and what is unpacked of it grow for long, and take their place when they were verified; a run's
    # products, a crate, and a new batch take theirs as a folder, Reflex's `latest` as a link. A damaged store is set
    # aside.
    {
        "esorex_bridge/disk/atomic.py",
        "esorex_bridge/archive/part.py",
        "esorex_bridge/archive/unpack.py",
        "esorex_bridge/workspace/folders.py",
        "esorex_bridge/provenance/export.py",
        "esorex_bridge/executors/batch_folder.py",
        "esorex_bridge/reflex/execution_folders.py",
        "esorex_bridge/store/rebuild.py",
    }
    | STARTS_FAST
    | PYTHON_ALONE
)
"""Modules that rename what they wrote beside its place."""


def imports_of(module: str) -> set[str]:
    """Return the modules of the packages that a module names in any import, also inside functions."""
    found = set()
    for node in nodes()[module]:
        if isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
            found |= {name for name in names if name in trees() and trees()[name][0].name != "__init__.py"}
    return found - {module}


def circles() -> list[list[str]]:
    """Return the groups of modules that reach each other by imports."""
    reach: dict[str, set[str]] = {module: imports_of(module) for module in trees()}
    changed = True
    while changed:
        changed = False
        for reached in reach.values():
            more = set().union(*(reach[other] for other in reached)) - reached if reached else set()
            changed |= bool(more)
            reached |= more
    members = sorted(module for module, reached in reach.items() if module in reached)
    groups = {frozenset(other for other in members if other in reach[m] and m in reach[other]) for m in members}
    return sorted(sorted(group) for group in groups)


def functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Yield every function with the path of its file."""
    for module, (path, _) in trees().items():
        for node in nodes()[module]:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield str(path.relative_to(ROOT)), node


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return how many lines the body of a function has without its docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_no_files_import_each_other_in_a_circle() -> None:
    assert circles() == []


def test_no_function_body_is_over_fifty_lines() -> None:
    assert [(file, node.name) for file, node in functions() if body_lines(node) > LONGEST_BODY] == []


PARTICIPLES = (
    "made found told taken given kept held known said seen begun drawn shown left sent built lost met chosen spoken "
    "brought thought got gone done grown laid bound bought caught dealt fed felt heard led"
)
PREPOSITIONS = "to by of in for from before against back out after at on into with as up over once"

LISTENERS = frozenset(
    [
        "associated",
        "begun",
        "blocked",
        "failed",
        "finished",
        "found",
        "looked",
        "lost",
        "made",
        "started",
        "submitted",
        "told",
    ]
)
"""Methods of listeners, each named by what happened: of a query, a recipe, a step, a batch."""

GRAMMAR = frozenset({"definitions/oca/builder.py compared"})
"""Methods that have the names of a grammar's rules."""


def is_participle(name: str) -> bool:
    """Tell whether a name is a participle alone, or with what it is said of: `_made`, `_held_against`."""
    first, *rest = name.strip("_").split("_")
    alone = not rest or rest[0] in PREPOSITIONS.split()
    return alone and (
        first in PARTICIPLES.split() or (len(first) > 4 and first.endswith("ed") and not first.endswith("eed"))
    )


def methods() -> set[int]:
    """Return what identifies the functions that stand in classes."""
    classes = (node for found in nodes().values() for node in found if isinstance(node, ast.ClassDef))
    return {id(function) for node in classes for function in node.body}


def test_functions_are_named_by_verbs() -> None:
    """`publish`, not `published`. A property is a value, a context a state: they may be called as such."""
    in_classes = methods()
    named = {
        f"{place.partition('/')[2]} {function.name}"
        for place, function in functions()
        if is_participle(function.name)
        and not (function.name in LISTENERS and id(function) in in_classes)
        and not re.search("property|contextmanager", " ".join(map(ast.unparse, function.decorator_list)))
    } - GRAMMAR
    assert named == set()


ON_BOTH_SIDES = "esorex_bridge/edps/child/"
"""What runs behind the fence loads nothing of ours: what it says has the same name on both sides."""


def test_a_class_name_means_one_thing() -> None:
    places: dict[str, set[str]] = {}
    for path, tree in trees().values():
        file = str(path.relative_to(ROOT))
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and not file.startswith(ON_BOTH_SIDES):
                places.setdefault(node.name, set()).add(file)
    assert {name: files for name, files in places.items() if len(files) > 1} == {}


@pytest.mark.parametrize("folder", DECIDING)
def test_what_decides_never_touches_the_disk(folder: str) -> None:
    found = []
    for module, (path, _) in trees().items():
        file = str(path.relative_to(ROOT))
        if file.startswith(f"esorex_bridge/{folder}/") and file not in READS_DISK:
            found += [(file, node.lineno) for node in nodes()[module] if touches_disk(node)]
    assert found == []


def touches_disk(node: ast.AST) -> bool:
    """Return whether a node of the syntax tree is a call that needs the disk."""
    if not isinstance(node, ast.Call):
        return False
    if isinstance(node.func, ast.Name):
        return node.func.id == "open"
    return isinstance(node.func, ast.Attribute) and node.func.attr in DISK_METHODS


MECHANISMS = {
    "st_mtime_ns": {
        "esorex_bridge/disk/stamp.py",  # the stamp of a file
        "esorex_bridge/archive/unpack.py",  # hands the time of a packed file on
        "esorex_bridge/reflex/checksum.py",  # Reflex's own checksum holds it
        "esorex_bridge/run/delivery.py",  # hands the time of a product on
        "esorex_bridge/pages/collect.py",  # looks for the latest run
        "esorex_bridge/lazy/recording.py",  # tells files of this run from older ones
    },
    "flock": {
        "esorex_bridge/workspace/locks.py",
        "esorex_bridge/lazy/lazy_store.py",  # which loads nothing that it can do without
    },
    "st_ctime_ns": {"esorex_bridge/disk/stamp.py"},
    "file_digest": {"esorex_bridge/disk/digest.py"},
}
"""Words that stand for a mechanism, and the modules that have them: one, and those with another use for the word."""


@pytest.mark.parametrize("word", MECHANISMS)
def test_each_mechanism_stands_once(word: str) -> None:
    found = {
        str(path.relative_to(ROOT))
        for module, (path, _) in trees().items()
        for node in nodes()[module]
        if isinstance(node, ast.Attribute) and node.attr == word
    }
    assert found <= MECHANISMS[word]


def test_files_are_renamed_into_place_in_one_module() -> None:
    found = {
        str(path.relative_to(ROOT)) for name, (path, _) in trees().items() if any(map(renames_a_file, nodes()[name]))
    }
    assert found == RENAMING


def renames_a_file(node: ast.AST) -> bool:
    """Tell whether a call renames a file: texts, values and times are replaced by another number of arguments."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and not node.keywords):
        return False
    if node.func.attr not in ("replace", "rename"):
        return False
    return len(node.args) == 1 or ast.unparse(node.func.value) == "os"


NAMES = {
    "esorex_bridge/archive/query.py": "dp_ids",
    "esorex_bridge/archive/calselector.py": "asked",
    "esorex_bridge/archive/trees.py": "dp_id",
    "esorex_bridge/archive/download_list.py": "name",
    "esorex_bridge/archive/report.py": "name",
    "esorex_bridge/workspace/scan.py": "files",
    "esorex_bridge/datasets/association.py": "name",
    "esorex_bridge/datasets/dataset.py": "name",
    "esorex_bridge/plan/plan.py": "name",
}
"""Where a file is named on the road from the query to the SOF, and the field that names it."""


@pytest.mark.parametrize("file", NAMES)
def test_a_file_has_one_name_from_the_query_to_the_sof(file: str) -> None:
    (tree,) = (tree for path, tree in trees().values() if str(path.relative_to(ROOT)) == file)
    fields = [node for node in ast.walk(tree) if isinstance(node, ast.AnnAssign)]
    named = [ast.unparse(node.annotation) for node in fields if ast.unparse(node.target) == NAMES[file]]
    assert any("DpId" in annotation for annotation in named), named


def raises_entries() -> Iterator[tuple[str, str]]:
    """Yield what each docstring says of an error, with its file."""
    for module, (path, _) in trees().items():
        for node in nodes()[module]:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                _, _, raises = (ast.get_docstring(node) or "").partition("\nRaises\n------\n")
                section = raises.partition("\n\n")[0].splitlines()
                yield from (
                    (str(path.relative_to(ROOT)), line.strip())
                    for before, line in pairwise(section)
                    if line.startswith(" ") and not before.startswith(" ")
                )


def test_docstrings_say_of_each_error_when_it_is_raised() -> None:
    entries = tuple(raises_entries())
    assert [entry for entry in entries if not entry[1].startswith(("If ", "As "))] == []
    assert len(entries) > 300
