"""The sources of a workflow package, with those of the packages that it imports, as text."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec import Struct

from esorex_bridge.definitions.edps.extras import EXTRAS_FILE
from esorex_bridge.errors import UserError

MOST_BYTES = 32 << 20
_IMPORT = re.compile(r"^[ \t]*(?:from|import)[ \t]+([A-Za-z_]\w*(?:[ \t]*,[ \t]*[A-Za-z_]\w*)*)", re.MULTILINE)
_NOT_READ = ("reports", "tests", "test", "__pycache__")


class Sources(Struct, frozen=True):
    """What is handed to the child process.

    Parameters
    ----------
    root : Path
        The folder that holds the package's folder; packages beside it may be imported.
    module : str
        `<folder>.<module>`.
    texts : mapping of str to str
        Python sources by path relative to the root.
    parameters : mapping of str to str
        Files of parameter sets of the package's own folder, and what an exported definition has beside it, by path
        relative to the root.
    elsewhere : mapping of str to str
        Of imported packages that lie under another root, that root, by the package's name.
    """

    root: Path
    module: str
    texts: dict[str, str]
    parameters: dict[str, str]
    elsewhere: dict[str, str] = {}

    @property
    def folders(self) -> tuple[Path, ...]:
        """The packages' folders."""
        names = dict.fromkeys(path.partition("/")[0] for path in self.texts)
        return tuple(Path(self.elsewhere.get(name.removesuffix(".py"), self.root)) / name for name in names)

    def digest(self) -> str:
        """Return the SHA-256 of module, roots, paths and texts: messages name files, so the place counts."""
        parts = [str(self.root), self.module, *(text for pair in sorted(self.elsewhere.items()) for text in pair)]
        for path, text in sorted({**self.texts, **self.parameters}.items()):
            parts += [path, text]
        joined = "\0".join(f"{len(part)}:{part}" for part in parts)
        return hashlib.sha256(joined.encode("utf-8", "surrogatepass")).hexdigest()


def gather_sources(folder: Path, module: str, others: Iterable[Path] = ()) -> Sources:
    """Return the sources of a workflow and of the packages that it imports.

    Parameters
    ----------
    folder : Path
        The package's folder, which names it.
    module : str
        The workflow's module, such as `naco_wkf`.
    others : iterable of Path
        Roots in which imported packages are looked for that do not lie beside it: one that extends a pipeline's own
        package often lies apart from that.

    Raises
    ------
    UserError
        If a source cannot be read, or there is more than a package ever has.
    """
    root = folder.parent
    roots = (root, *others)
    texts: dict[str, str] = {}
    elsewhere: dict[str, str] = {}
    seen = {folder.name}
    waiting = [(folder.name, root)]
    while waiting:
        name, place = waiting.pop()
        found = {str(path.relative_to(place)): _text(path) for path in _python_files(place, name)}
        texts.update(found)
        if place != root:
            elsewhere[name] = str(place)
        if sum(map(len, texts.values())) > MOST_BYTES:
            raise UserError(f"{root} holds more Python than a workflow package has; give the package's own folder")
        for other in (each for text in found.values() for each in _find_imported(text) if each not in seen):
            seen.add(other)
            home = next((each for each in roots if _is_below(each, other)), None)
            if home is not None:
                waiting.append((other, home))
    beside = [*sorted(folder.glob("*parameters.yaml")), *folder.glob(EXTRAS_FILE)]
    parameters = {str(path.relative_to(root)): _text(path) for path in beside}
    return Sources(root, f"{folder.name}.{module}", texts, parameters, elsewhere)


def _find_imported(text: str) -> Iterator[str]:
    """Yield the names of packages that a source imports; those of Python itself are left to it."""
    for found in _IMPORT.finditer(text):
        names = (name.strip() for name in found[1].split(","))
        yield from (name for name in names if name != "edps" and name not in sys.stdlib_module_names)


def _is_below(root: Path, name: str) -> bool:
    return (root / f"{name}.py").is_file() or any((root / name).glob("*.py"))


def _python_files(root: Path, name: str) -> Iterator[Path]:
    alone = root / f"{name}.py"
    if alone.is_file():
        yield alone
    for path in sorted((root / name).rglob("*.py")):
        if path.is_file() and not set(path.relative_to(root).parts[:-1]).intersection(_NOT_READ):
            yield path


def _text(path: Path) -> str:
    try:
        if not path.is_file() or path.stat().st_size > MOST_BYTES:
            raise UserError(f"{path} is no file of a workflow package, or longer than any is")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {error}") from None
