"""Which frames of a SOF differ in structure from the others of their tag: what most crashes of recipes come from."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

from esorex_bridge.errors import DataError
from esorex_bridge.fits.verify import verify_fits
from esorex_bridge.plan.sof import Sof

Shape = tuple[tuple[int, ...], ...]


def mismatched_frames(sof: Sof, folder: Path) -> tuple[str, ...]:
    """Return a sentence for each frame whose extensions differ in number or size from those of most frames of its tag.

    Parameters
    ----------
    sof : Sof
        What was run.
    folder : Path
        Where EsoRex ran, for paths that are relative to it.
    """
    by_tag: dict[str, list[tuple[Path, Shape]]] = defaultdict(list)
    told = []
    for entry in sof.entries:
        try:
            content = verify_fits(folder / entry.path, checksums=False)
        except (DataError, OSError) as error:
            told.append(str(error))
            continue
        by_tag[entry.category].append((entry.path, tuple(hdu.naxis for hdu in content.hdus)))
    for tag, frames in by_tag.items():
        usual, _ = Counter(shape for _, shape in frames).most_common(1)[0]
        told += [
            f"{path.name} ({tag}) has {_words(shape)}, the others {_words(usual)}"
            for path, shape in frames
            if shape != usual
        ]
    return tuple(told)


def _words(shape: Shape) -> str:
    sizes = Counter("x".join(map(str, axes)) or "no data" for axes in shape)
    return f"{len(shape)} HDUs of {', '.join(sizes)}"
