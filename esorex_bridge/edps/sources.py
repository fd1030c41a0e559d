"""The sources of a workflow package, with those of the packages that it imports, as text."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
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
    """

    root: Path
    module: str
    texts: dict[str, str]
    parameters: dict[str, str]

    @property
    def folders(self) -> tuple[Path, ...]:
        """The packages' folders."""
        return tuple(self.root / name for name in dict.fromkeys(path.partition("/")[0] for path in self.texts))

    def digest(self) -> str:
        """Return the SHA-256 of module, root, paths and texts: messages name files, so the place counts."""
        parts = [str(self.root), self.module]
        for path, text in sorted({**self.texts, **self.parameters}.items()):
            parts += [path, text]
        joined = "\0".join(f"{len(part)}:{part}" for part in parts)
        return hashlib.sha256(joined.encode("utf-8", "surrogatepass")).hexdigest()


def gather_sources(folder: Path, module: str) -> Sources:
    """Return the sources of a workflow and of the packages beside it that it imports.

    Parameters
    ----------
    folder : Path
        The package's folder, which names it.
    module : str
        The workflow's module, such as `naco_wkf`.

    Raises
    ------
    UserError
        If a source cannot be read, or there is more than a package ever has.
    """
    root = folder.parent
    texts: dict[str, str] = {}
    waiting = [folder.name]
    while waiting:
        name = waiting.pop()
        found = {str(path.relative_to(root)): _text(path) for path in _python_files(root, name)}
        if any(path in texts for path in found):
            continue
        texts.update(found)
        if sum(map(len, texts.values())) > MOST_BYTES:
            raise UserError(f"{root} holds more Python than a workflow package has; give the package's own folder")
        for text in found.values():
            waiting.extend(other for other in _imported(text) if _is_beside(root, other))
    beside = [*sorted(folder.glob("*parameters.yaml")), *folder.glob(EXTRAS_FILE)]
    parameters = {str(path.relative_to(root)): _text(path) for path in beside}
    return Sources(root, f"{folder.name}.{module}", texts, parameters)


def _imported(text: str) -> Iterator[str]:
    for found in _IMPORT.finditer(text):
        yield from (name.strip() for name in found[1].split(","))


def _is_beside(root: Path, name: str) -> bool:
    return name != "edps" and ((root / f"{name}.py").is_file() or any((root / name).glob("*.py")))


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
