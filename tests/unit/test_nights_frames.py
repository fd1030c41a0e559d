"""The synthetic frames: the same at every making, with whole headers, and sound FITS."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest
from astropy.io import fits

from esorex_bridge.demo.nights.amber import amber_night
from esorex_bridge.demo.nights.dummies import dummy_night
from esorex_bridge.demo.nights.hawki import hawki_night
from esorex_bridge.demo.nights.naco import naco_night
from esorex_bridge.demo.nights.night import DemoNight, FrameFolder
from esorex_bridge.errors import DataError
from esorex_bridge.files import is_dp_id

NIGHTS = (naco_night(npix=64), hawki_night(npix=64), amber_night())
REQUIRED = (
    "TELESCOP INSTRUME OBJECT RA DEC EXPTIME MJD-OBS DATE-OBS UTC LST ARCFILE ORIGFILE|ESO OBS ID|ESO OBS NAME"
    "|ESO OBS PROG ID|ESO TPL ID|ESO TPL START|ESO TPL NEXP|ESO TPL EXPNO|ESO DPR CATG|ESO DPR TYPE|ESO DPR TECH"
    "|ESO DET DIT|ESO DET NDIT|ESO INS MODE|ESO TEL AIRM START"
)


def required_keywords() -> list[str]:
    first, *rest = REQUIRED.split("|")
    return [*first.split(), *rest]


@pytest.mark.parametrize("night", NIGHTS, ids=lambda night: night.name)
def test_a_frame_made_twice_is_the_same_to_the_byte(night: DemoNight) -> None:
    for file in (night.raws[0], night.science[-1], night.files[-1]):
        assert file.build() == file.build()


def test_a_frame_is_the_same_in_another_process(tmp_path: Path) -> None:
    code = (
        "import hashlib, sys; from esorex_bridge.demo.nights.naco import naco_night;"
        "print(hashlib.sha256(naco_night(npix=64).science[2].build()).hexdigest())"
    )
    made = {subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout for _ in range(2)}
    assert len(made) == 1


def test_nights_of_different_seeds_differ() -> None:
    one, other = (naco_night(npix=64, seed=seed).science[0] for seed in (7, 8))
    assert one.dp_id == other.dp_id
    assert one.build() != other.build()


@pytest.mark.parametrize("night", NIGHTS, ids=lambda night: night.name)
def test_raw_headers_are_whole(night: DemoNight) -> None:
    for file in night.raws:
        keywords = dict(file.keywords)
        assert [name for name in required_keywords() if name not in keywords] == []
        assert keywords["ARCFILE"] == f"{file.dp_id}.fits"
        assert keywords["ESO OBS PROG ID"] == "60.A-9999(A)"
        assert str(keywords["DATE-OBS"]).startswith(file.dp_id.split(".", 1)[1])


@pytest.mark.parametrize("night", NIGHTS, ids=lambda night: night.name)
def test_files_are_sound_fits_that_say_what_the_night_says(night: DemoNight) -> None:
    for file in (night.raws[0], night.science[0], *(file for file in night.files if file.dp_id.startswith("M."))):
        content = file.build()
        assert len(content) % 2880 == 0
        with fits.open(io.BytesIO(content), checksum=True) as hdus:
            hdus.verify("exception")
            for name, value in file.keywords:
                same = value if isinstance(value, str) else pytest.approx(value, rel=1e-12)
                assert hdus[0].header[name] == same, name


@pytest.mark.parametrize("night", NIGHTS, ids=lambda night: night.name)
def test_every_name_is_a_dp_id_of_its_own(night: DemoNight) -> None:
    names = [file.dp_id for file in night.files]
    assert len(set(names)) == len(names)
    assert all(is_dp_id(name) for name in names)


def test_a_frame_is_made_once_and_kept(tmp_path: Path) -> None:
    night = NIGHTS[0]
    folder = FrameFolder(tmp_path)
    path = folder.compress_file(night, night.science[0])
    made = path.stat()
    assert folder.compress_file(night, night.science[0]).stat().st_mtime_ns == made.st_mtime_ns
    assert [entry.name for entry in path.parent.iterdir()] == [f"{night.science[0].dp_id}.fits.Z"]


def test_nights_share_a_folder_without_sharing_frames(tmp_path: Path) -> None:
    folder = FrameFolder(tmp_path)
    small, smaller = naco_night(npix=64), naco_night(npix=32)
    assert folder.fits(small, small.science[0]) != folder.fits(smaller, smaller.science[0])


def test_a_file_that_the_night_has_not_is_refused_by_name() -> None:
    with pytest.raises(DataError, match=r"NACO\.1999"):
        NIGHTS[0].file("NACO.1999-01-01T00:00:00.000")


def test_dummies_are_sound_fits_of_the_size_asked_for() -> None:
    night = dummy_night(3, 100_000)
    contents = [file.build() for file in night.files]
    assert [len(content) for content in contents] == [100_000 // 2880 * 2880] * 3
    assert len(set(contents)) == 3
    with fits.open(io.BytesIO(contents[1])) as hdus:
        hdus.verify("exception")
        assert hdus[0].header["ARCFILE"] == f"{night.files[1].dp_id}.fits"


def test_many_templates_share_the_calibrations() -> None:
    night = naco_night(npix=64, science_frames=3, templates=4)
    assert len(night.science) == 12
    assert len(night.trees) == 4
    assert len({str(file.keyword("ESO TPL START")) for file in night.science}) == 4
    darks = {tree.root.associated[0] for tree in night.trees}
    assert len(darks) == 1


def test_importing_the_nights_is_light() -> None:
    code = "import sys, esorex_bridge.demo.nights.naco, esorex_bridge.demo.nights.hawki; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert {"numpy", "astropy", "requests"}.isdisjoint(done.stdout.split())
