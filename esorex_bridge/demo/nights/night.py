"""A night: the files that an archive holds of it, the association trees, and the folder where frames are kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from esorex_bridge.datasets.association import AssociatedFile, Association, AssociationTree, Mode
from esorex_bridge.demo.nights.frames import Keywords, KeywordValue
from esorex_bridge.disk.atomic import write_bytes_whole
from esorex_bridge.errors import DataError
from esorex_bridge.files import DpId, is_processed


class ArchiveFile(Struct, frozen=True):
    """A file of the archive: its name and header at once, its bytes when somebody asks for them.

    Parameters
    ----------
    dp_id : DpId
        The archive's name.
    category : str
        The tag that it has in a SOF.
    keywords : Keywords
        Primary header without the structural cards.
    build : callable
        Returns the FITS stream, the same at every call.
    estimated_bytes : int
        Size as the archive's listings state it before anybody has asked for the file.
    """

    dp_id: DpId
    category: str
    keywords: Keywords
    build: Callable[[], bytes]
    estimated_bytes: int = 0

    def keyword(self, name: str, default: KeywordValue = "") -> KeywordValue:
        """Return the value of a header keyword (`ESO DET DIT`)."""
        return dict(self.keywords).get(name, default)

    @property
    def is_science(self) -> bool:
        """Whether the header says that it is a science frame."""
        return self.keyword("ESO DPR CATG") == "SCIENCE"

    @property
    def associated(self) -> AssociatedFile:
        """The file as association trees name it."""
        return AssociatedFile(self.dp_id, self.category)


class DemoNight(Struct, frozen=True):
    """All that the archive knows of a night with one instrument.

    Parameters
    ----------
    name : str
        Tells apart nights that share a folder; holds all that the frames depend on (size, seed).
    instrument : str
        FITS `INSTRUME`.
    files : tuple of ArchiveFile
        Raw frames and processed calibrations.
    trees : tuple of AssociationTree
        One per science template and mode.
    kept : bool
        Whether frames are kept in the folder once made; if not, they are made at every request and never compressed.
    """

    name: str
    instrument: str
    files: tuple[ArchiveFile, ...]
    trees: tuple[AssociationTree, ...]
    kept: bool = True

    @property
    def raws(self) -> tuple[ArchiveFile, ...]:
        """Frames that the instrument took, which `dbo.raw` lists."""
        return tuple(file for file in self.files if not is_processed(file.dp_id))

    @property
    def science(self) -> tuple[ArchiveFile, ...]:
        """Science frames, in the order of their taking."""
        return tuple(file for file in self.files if file.is_science)

    @property
    def roots(self) -> tuple[DpId, ...]:
        """The first file of each dataset: what to ask for by name where the night has no science."""
        return tuple(dict.fromkeys(DpId(tree.root.files[0].name) for tree in self.trees))

    def file(self, dp_id: str) -> ArchiveFile:
        """Return a file by its name.

        Raises
        ------
        DataError
            If the night has no such file.
        """
        for file in self.files:
            if file.dp_id == dp_id:
                return file
        raise DataError(f"the synthetic night {self.name} has no file {dp_id}")

    def tree(self, dp_id: str, mode: Mode) -> AssociationTree | None:
        """Return the tree whose science files include one, in that mode, else in a lower one, else None.

        The downgrade from Raw2Master to Raw2Raw is what calSelector does where no master calibrations exist.
        """
        found = {tree.mode: tree for tree in self.trees if any(file.name == dp_id for file in tree.root.files)}
        return found.get(mode) or found.get("Raw2Raw")


def group(
    category: str, files: tuple[ArchiveFile, ...], *associated: Association, match: str = "calib_plan"
) -> Association:
    """Return an association of files; `match` is `N/A` for statics and masters."""
    names = tuple(file.associated for file in files)
    return Association(category, names, associated, match="N/A" if match == "N/A" else "calib_plan")


def auxiliary(category: str, files: tuple[ArchiveFile, ...]) -> Association:
    """Return a group that is of use to a person only; such groups are uncertified as a rule."""
    names = tuple(file.associated for file in files)
    return Association(category, names, certified=False, match="N/A", kind="auxiliary")


class FrameFolder(Struct, frozen=True):
    """The folder in which frames are kept once they were made.

    Parameters
    ----------
    path : Path
        The folder; made when needed. Nights lie in sub-folders by their names.
    """

    path: Path

    def fits(self, night: DemoNight, file: ArchiveFile) -> Path:
        """Return the path of a file's FITS stream, making it at first use."""
        return _make_once(self.path / night.name / f"{file.dp_id}.fits", file.build)

    def compress_file(self, night: DemoNight, file: ArchiveFile) -> Path:
        """Return the path of a file under Unix `compress`, as the archive delivers raw frames."""
        return _make_once(self.path / night.name / f"{file.dp_id}.fits.Z", lambda: _lzw(file.build()))


def _make_once(path: Path, build: Callable[[], bytes]) -> Path:
    if not path.exists():
        write_bytes_whole(path, build())
    return path


def _lzw(content: bytes) -> bytes:
    import ncompress

    packed: bytes = ncompress.compress(content)
    return packed
