from __future__ import annotations

import gzip
import math
import subprocess
import warnings
from pathlib import Path
from random import Random

import ncompress
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esorex_bridge.errors import DataError
from esorex_bridge.fits.card import Value
from esorex_bridge.fits.hdus import read_keywords
from esorex_bridge.fits.header import Header, read_header
from tests.tiny_fits import fits_of, header_bytes

FIXED = ["SIMPLE  =                    T", "BITPIX  =                    8", "NAXIS   =                    0"]

ODD_CARDS = [
    "MJD-OBS =       57449.12345678 / MJD",
    "INSTRUME= 'NAOS+CONICA'        / instrument",
    "HIERARCH ESO DET DIT = 2.0 / s",
    "HIERARCH ESO TEL CHOP ST= F / no blank before the sign",
    "HIERARCH ESO OBS NAME = 'MUSE/176642' / a slash in a text",
    "HIERARCH ESO DPR CATG = 'CALIB   ' / trailing blanks",
    "HIERARCH ESO INS COMMENT = '        ' / blank text",
    "DATASUM = '         0'",
    "HIERARCH ESO OBS TARG NAME = 'it''s here' / doubled quote",
    "HIERARCH ESO DET EXP D = 1.5D3 / exponent with D",
    "HIERARCH ESO DET NEG = -7",
    "HIERARCH ESO MOLECULE = 'H2O'",
    "HIERARCH CAHA TEL POS = 3 / another domain",
    "HIERARCH ESO ins filt1 name = 'Ks' / lower case",
    "EMPTY   =                      / undefined",
    "HISTORY HIERARCH ESO DET DIT = 99",
    "COMMENT = not a keyword",
    "HIERARCH ESO PRO CATG = 'FIRST'",
    "HIERARCH ESO PRO CATG = 'SECOND'",
    "LONGSTR = 'a text that goes on in the next card, so it is longer than&'",
    "CONTINUE  ' a card can hold' / comment",
]


def header(cards: list[str], folder: Path) -> Header:
    path = folder / "x.fits"
    path.write_bytes(header_bytes([*FIXED, *cards]))
    return read_header(path)


def by_astropy(path: Path) -> dict[str, Value]:
    from astropy.io import fits

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = fits.getheader(path)
        values: dict[str, Value] = {}
        for one in found.cards:
            words = one.keyword.upper().split()
            if not words or words[0] in ("COMMENT", "HISTORY"):
                continue
            key = ".".join(words[1:] if words[0] == "ESO" and len(words) > 2 else words)
            value = None if isinstance(one.value, fits.card.Undefined) else one.value
            values.setdefault(key, value)
    return values


def test_every_card_is_read_as_astropy_reads_it(tmp_path: Path) -> None:
    ours = header(ODD_CARDS, tmp_path)
    assert dict(ours) == by_astropy(tmp_path / "x.fits")
    assert {key: type(value) for key, value in ours.items()} == {
        key: type(value) for key, value in by_astropy(tmp_path / "x.fits").items()
    }


def test_searching_a_keyword_gives_what_parsing_all_cards_gives(tmp_path: Path) -> None:
    whole = dict(header(ODD_CARDS, tmp_path))
    one_by_one = header(ODD_CARDS, tmp_path)
    assert {key: one_by_one[key] for key in whole} == whole
    assert header(ODD_CARDS, tmp_path).select(tuple(whole)) == whole


def test_plain_cards_are_searched_without_parsing_the_rest(tmp_path: Path) -> None:
    plain = [
        card
        for card in ODD_CARDS
        if "CAHA" not in card and "filt1" not in card and "LONG" not in card and "CONTINUE" not in card
    ]
    keys = ("DET.DIT", "PRO.CATG", "INSTRUME", "NOT.THERE", "OBS.NAME", "MOLECULE", "MJD-OBS", "EMPTY")
    found = header(plain, tmp_path).select(keys)
    assert found == {
        "DET.DIT": 2.0,
        "PRO.CATG": "FIRST",
        "INSTRUME": "NAOS+CONICA",
        "OBS.NAME": "MUSE/176642",
        "MOLECULE": "H2O",
        "MJD-OBS": 57449.12345678,
        "EMPTY": None,
    }


FOLLOWED = ("INSTRUME", "MJD-OBS", "EXPTIME", "DET.DIT", "DET.NDIT", "PRO.CATG")
NAMES = ["INSTRUME", "MJD-OBS ", "EXPTIME ", "OTHER   ", *(f"HIERARCH ESO {name}" for name in (
    "DET DIT ", "DET NDIT ", "PRO CATG", "PRO CATG  ", "DET DITDELAY "))]  # fmt: skip
SAID = ["1", "2.5", "'a = b'", "'HIERARCH ESO DET DIT = 7'", "", "T / comment = 3"]
ODD = ["COMMENT DET DIT = 3", "COMMENT no sign", "HIERARCH CAHA TEL POS = 3", "CONTINUE  'and on'", "", "EXPTIME 3",
       "HIERARCH ESO det dit = 9", "HISTORY HIERARCH ESO DET DIT = 99"]  # fmt: skip
CARD = st.builds("{}= {}".format, st.sampled_from(NAMES), st.sampled_from(SAID)) | st.sampled_from(ODD)


@settings(max_examples=200, deadline=None)
@given(st.lists(CARD, max_size=6), st.lists(st.tuples(st.integers(0, 5), CARD), max_size=6))
def test_what_is_found_does_not_depend_on_the_headers_before(cards: list[str], changes: list[tuple[int, str]]) -> None:
    for number, card in [(0, ""), *changes]:
        cards = [card if place == number else other for place, other in enumerate(cards)]
        raw = b"".join(text.encode().ljust(80) for text in [*FIXED, *cards])
        whole = dict(Header(raw))
        assert Header(raw).select(FOLLOWED) == {key: whole[key] for key in FOLLOWED if key in whole}


def test_a_name_may_be_asked_for_with_its_domain(tmp_path: Path) -> None:
    found = header(ODD_CARDS, tmp_path)
    assert found["HIERARCH.ESO.DET.DIT"] == found["ESO.DET.DIT"] == found["DET.DIT"] == 2.0
    assert found["MOLECULE"] == found["ESO.MOLECULE"] == "H2O"
    assert found["CAHA.TEL.POS"] == 3
    assert "TEL.POS" not in found


def test_a_bare_nan_is_a_number_and_doubled_quotes_before_a_slash_are_kept(tmp_path: Path) -> None:
    found = header(["HIERARCH ESO DRS RON = nan / HARPS writes it", "PIXSCALE= '0.2''''/pixel_mask'"], tmp_path)
    assert math.isnan(float(found["DRS.RON"] or 0))
    assert found["PIXSCALE"] == "0.2''/pixel_mask"


def test_a_keyword_that_another_begins_with_is_not_taken_for_it(tmp_path: Path) -> None:
    found = header(["HIERARCH ESO DET DIT1 = 5", "HIERARCH ESO DET DITDELAY = 7", "MJD-OBSX= 1"], tmp_path)
    assert "DET.DIT" not in found
    assert found.select(("DET.DIT", "MJD-OBS")) == {}


def test_a_header_of_many_blocks_is_read_to_its_end(tmp_path: Path) -> None:
    cards = [f"HIERARCH ESO INS SENS{number} VAL = {number}" for number in range(3086)]
    found = header([*cards, "HIERARCH ESO LAST ONE = 1"], tmp_path)
    assert found["LAST.ONE"] == 1
    assert len(found) == 3086 + 4


@pytest.mark.parametrize("pack", [gzip.compress, ncompress.compress])
def test_packed_files_are_read_without_unpacking_them_whatever_their_name(pack, tmp_path: Path) -> None:
    path = tmp_path / "NACO.2016-03-02T00:30:00.076"
    path.write_bytes(pack(fits_of({"DET.DIT": 2.0, "INSTRUME": "NAOS+CONICA"}) + b"\0" * 2880))
    assert read_header(path)["DET.DIT"] == 2.0


def test_an_image_packed_into_an_extension_keeps_its_own_header(tmp_path: Path) -> None:
    import numpy as np
    from astropy.io import fits

    path = tmp_path / "x.fits.fz"
    image = fits.CompImageHDU(np.zeros((8, 12), dtype="i2"))
    image.header["HIERARCH ESO DET DIT"] = 2.0
    fits.HDUList([fits.PrimaryHDU(), image]).writeto(path)
    found = read_header(path)
    assert found["DET.DIT"] == 2.0
    assert (found["NAXIS"], found["NAXIS1"], found["NAXIS2"], found["BITPIX"]) == (2, 12, 8, 16)
    assert "TFIELDS" not in found


def test_cards_that_stand_in_the_first_extension_alone_are_found(tmp_path: Path) -> None:
    path = tmp_path / "x.fits"
    extension = [
        "XTENSION= 'IMAGE   '",
        "BITPIX  = 8",
        "NAXIS   = 0",
        "PCOUNT  = 0",
        "GCOUNT  = 1",
        "HIERARCH ESO DPR CATG = 'CALIB'",
    ]
    path.write_bytes(header_bytes([*FIXED, "OBJECT  = 'x'"]) + header_bytes(extension))
    found = read_header(path)
    assert (found["DPR.CATG"], found["OBJECT"]) == ("CALIB", "x")
    assert "XTENSION" not in found


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "empty"),
        (b"<html>login</html>", "page"),
        (b"\x00\x01\x02 some binary junk", "no FITS"),
        (fits_of({"A": 1})[:300], "cut off"),
        (gzip.compress(fits_of({"A": 1}), mtime=0)[:60], "damaged gzip"),
    ],
    ids=("empty", "page", "junk", "cut off", "damaged gzip"),
)
def test_what_is_no_fits_file_is_told_in_words(content: bytes, told: str, tmp_path: Path) -> None:
    path = tmp_path / "x.fits"
    path.write_bytes(content)
    with pytest.raises(DataError, match=told) as caught:
        read_header(path)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there_is_told_in_words(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        read_header(tmp_path / "x.fits")


names = st.lists(st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", min_size=1, max_size=8), min_size=2, max_size=4)
values = st.one_of(
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20).map(lambda text: text.rstrip(" ")),
    st.integers(-(10**9), 10**9),
    st.booleans(),
    st.none(),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(names.filter(lambda words: words[0] != "ESO").map(".".join), values, max_size=12))
def test_what_is_written_is_read(keywords: dict[str, Value]) -> None:
    raw = fits_of(keywords).rstrip(b" ")[:-3]
    assert Header(raw).select(tuple(keywords)) == keywords
    read = dict(Header(raw))
    assert {key: read[key] for key in keywords} == keywords


def test_the_frames_of_a_synthetic_night_are_read_as_astropy_reads_them(tmp_path: Path) -> None:
    from esorex_bridge.demo.nights.naco import naco_night

    path = tmp_path / "x.fits"
    for file in naco_night(npix=64).files[::4]:
        path.write_bytes(file.build())
        assert dict(read_header(path)) == by_astropy(path)


def long_header(cards: int) -> bytes:
    """Return a file whose header does not pack well."""
    random = Random(cards)
    values = [f"HIERARCH ESO QC N{number} = '{random.randbytes(20).hex()}'" for number in range(cards)]
    return header_bytes([*FIXED, *values]) + random.randbytes(2880)


@pytest.mark.parametrize("cards", [3, 300, 3000], ids=["held by the first bytes", "nearly", "far longer"])
def test_a_compressed_header_is_the_one_that_was_packed(cards: int, tmp_path: Path) -> None:
    (tmp_path / "plain.fits").write_bytes(content := long_header(cards))
    (tmp_path / "packed.fits.Z").write_bytes(ncompress.compress(content))
    assert dict(read_header(tmp_path / "packed.fits.Z")) == dict(read_header(tmp_path / "plain.fits"))


def test_the_header_of_a_compressed_raw_starts_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.fits.Z").write_bytes(ncompress.compress(fits_of({"INSTRUME": "NAOS+CONICA"}) * 50))
    monkeypatch.setattr(subprocess, "Popen", None)
    assert read_header(tmp_path / "x.fits.Z")["INSTRUME"] == "NAOS+CONICA"


@pytest.mark.parametrize("held", [300, 30_000], ids=["within the first bytes", "behind them"])
def test_a_compressed_header_that_is_cut_off_is_refused(held: int, tmp_path: Path) -> None:
    (tmp_path / "x.fits.Z").write_bytes(ncompress.compress(long_header(3000))[:held])
    with pytest.raises(DataError, match="cut off"):
        read_header(tmp_path / "x.fits.Z")


def test_a_compressed_header_that_is_damaged_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.fits.Z").write_bytes(ncompress.compress(long_header(30))[:50] + b"\xff\x00" * 300)
    with pytest.raises(DataError, match=r"damaged \.Z"):
        read_header(tmp_path / "x.fits.Z")


@pytest.mark.real
def test_a_real_header_is_read_as_astropy_reads_it(real: Path, tmp_path: Path) -> None:
    packed = real / "astroquery" / "testfile.fits.Z"
    path = tmp_path / "x.fits"
    path.write_bytes(ncompress.decompress(packed.read_bytes()))
    assert dict(read_header(packed)) == by_astropy(path)


QC_CARDS = [
    "HIERARCH ESO QC MED = 3.5 / median",
    "HIERARCH ESO QCX MED = 4.5",
    "HIERARCH ESO QC LONG = 'a text that goes on in the next card, so it is long&'",
    "CONTINUE  'er than one'",
    "HIERARCH ESO QC MED = 9 / the second of its name",
]


@pytest.mark.parametrize("odd", [[], ["HIERARCH CAHA TEL POS = 3"]], ids=["searched", "parsed"])
def test_a_group_of_keywords_is_all_of_it_and_nothing_else(odd: list[str]) -> None:
    header = Header(header_bytes([*FIXED, *ODD_CARDS[:3], *QC_CARDS, *odd]))
    assert header.group("QC") == {
        "QC.MED": 3.5,
        "QC.LONG": "a text that goes on in the next card, so it is longer than one",
    }


@pytest.mark.parametrize("packed", [False, True])
def test_a_keyword_of_an_extension_is_read_when_it_is_asked_for(tmp_path: Path, packed: bool) -> None:
    image = ["XTENSION= 'IMAGE   '", "BITPIX  =                   16", "NAXIS   =                    2"]
    sizes = ["NAXIS1  =                   40", "NAXIS2  =                   50"]
    one = header_bytes([*image, *sizes, "EXTNAME = 'CHAN01  '", "HIERARCH ESO DET CHIP NY = 50"]) + bytes(5760)
    two = header_bytes([*image[:2], FIXED[2], "EXTNAME = 'CHAN02  '"])
    stream = fits_of({"INSTRUME": "MUSE", "OBS.NAME": "X"}) + one + two
    path = tmp_path / "x.fits"
    path.write_bytes(gzip.compress(stream) if packed else stream)
    header = read_keywords(path)
    wanted = ("INSTRUME", "EXTNAME[1]", "EXTNAME[2]", "EXTNAME[3]", "DET.CHIP.NY[1]", "DET.CHIP.NY")
    found = {"INSTRUME": "MUSE", "EXTNAME[1]": "CHAN01", "EXTNAME[2]": "CHAN02", "DET.CHIP.NY[1]": 50}
    assert header.select(wanted) == found
    assert header["EXTNAME[2]"] == "CHAN02" and "EXTNAME[3]" not in header
    assert read_header(path).select(wanted) == {"INSTRUME": "MUSE"}
