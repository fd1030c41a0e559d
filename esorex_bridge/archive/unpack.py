"""Unpacking: packed files, for recipes that cannot read them, made plain once and atomically.

CPL reads `.Z` and `.gz` through CFITSIO, and most recipes work on them; those of UVES do not. A file that was packed
whole by fpack has its image in the first extension, where no recipe looks for it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO, Literal

from esorex_bridge.archive.part import open_beside
from esorex_bridge.errors import DataError
from esorex_bridge.files import Digest, stem
from esorex_bridge.fits.stream import open_fits
from esorex_bridge.fits.verify import verify_fits
from esorex_bridge.fits.walker import FitsWalker

Unpacking = Literal["auto", "always", "never"]
"""`auto`: where the recipes need it."""

NEEDS_PLAIN = ("UVES",)
"""Prefixes of archive names whose recipes cannot read `.Z`."""

_CHUNK = 1 << 20
_LARGEST_RATIO, _ALWAYS_ALLOWED_BYTES = 200, 64 << 20
"""A frame unpacks to at most so many times its packed size, or to so little that it does not matter."""


def unpack_if_due(path: Path, digest: Digest, unpacking: Unpacking) -> tuple[Path, Digest] | None:
    """Unpack a file where that is due, and return the plain file with its digest; None where it stays as it is.

    The packed file is removed after the plain one is there and sound.

    Raises
    ------
    DataError
        If the file is damaged.
    """
    if unpacking == "never":
        return None
    if path.name.endswith((".Z", ".gz")) and (unpacking == "always" or _prefix(path) in NEEDS_PLAIN):
        return _uncompress(path, digest)
    if path.name.endswith(".fits.fz") and _is_packed_image(path):
        return _unpacked_image(path)
    return None


def _prefix(path: Path) -> str:
    return path.name.removeprefix("M.").partition(".")[0]


def _uncompress(path: Path, digest: Digest) -> tuple[Path, Digest]:
    target = path.with_name(stem(path.name) + ".fits")
    part = target.with_name(target.name + ".part")
    walker = FitsWalker(str(path), tolerant=True)
    longest = _LARGEST_RATIO * path.stat().st_size + _ALWAYS_ALLOWED_BYTES
    with open_fits(path) as packed, open_beside(part, os.O_WRONLY | os.O_TRUNC) as plain:
        while chunk := packed.read(_CHUNK):
            if plain.tell() + len(chunk) > longest:
                os.ftruncate(plain.fileno(), 0)
                raise DataError(f"{path} unpacks to more than {longest} bytes, which no frame does; it stays packed")
            _write_all(plain, chunk)
            walker.feed(chunk)
    if walker.close().digest != digest:
        part.unlink()
        raise DataError(f"{path} changed while it was unpacked; fetch it again")
    _publish(part, target, path)
    return target, digest


def _is_packed_image(path: Path) -> bool:
    """Tell whether the file is one image that fpack packed whole (native multi-extension files are left alone)."""
    from astropy.io import fits

    with fits.open(path, disable_image_compression=True, memmap=False) as hdus:
        if len(hdus) != 2 or hdus[0].data is not None:
            return False
        header = hdus[1].header
        return bool(header.get("ZIMAGE")) and bool(header.get("ZSIMPLE"))


def _unpacked_image(path: Path) -> tuple[Path, Digest]:
    from astropy.io import fits

    target = path.with_name(stem(path.name) + ".fits")
    part = target.with_name(target.name + ".part")
    with fits.open(path, memmap=False, do_not_scale_image_data=True) as hdus:
        image = fits.PrimaryHDU(hdus[1].data, hdus[1].header, do_not_scale_image_data=True)
        # astropy drops the scale, because it takes the data for scaled ones.
        image.header.update({key: hdus[1].header[key] for key in ("BSCALE", "BZERO") if key in hdus[1].header})
        with open_beside(part, os.O_WRONLY | os.O_TRUNC):
            image.writeto(part, overwrite=True, output_verify="silentfix+ignore")
    content = verify_fits(part)
    _publish(part, target, path)
    return target, content.digest


def _write_all(stream: BinaryIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[stream.write(view) :]


def _publish(part: Path, target: Path, packed: Path) -> None:
    time_ns = packed.stat().st_mtime_ns
    os.utime(part, ns=(time_ns, time_ns))
    part.replace(target)
    packed.unlink()
