"""What EsoRex calls a success and is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from esorex_bridge.errors import RecipeError
from esorex_bridge.esorex.diagnosis import REPORTED
from esorex_bridge.esorex.products import check_outputs, find_unlisted_inputs, refuse_unusable
from esorex_bridge.esorex.recipe import Output
from esorex_bridge.plan.sof import of_entries


def product(folder: Path, name: str = "p.fits", data: Any = None, **keywords: str) -> Output:
    hdu = fits.PrimaryHDU(np.zeros((4, 4), "f4") if data is None else data)
    for key, value in {"PRO_CATG": "IMG", **keywords}.items():
        if value:
            hdu.header[f"HIERARCH ESO {key.replace('_', ' ')}"] = value
    hdu.writeto(folder / name)
    return Output(folder / name, "IMG")


def test_a_product_is_hashed_and_its_inputs_are_read(tmp_path: Path) -> None:
    made = product(tmp_path, PRO_REC1_RAW1_NAME="a.fits", PRO_REC1_CAL1_NAME="dark.fits")
    (checked,) = check_outputs("toy", [made])
    assert checked.inputs == {"a.fits", "dark.fits"}
    assert checked.digest.startswith("sha256:")


def test_of_a_product_with_a_history_the_last_recipe_counts(tmp_path: Path) -> None:
    history = {
        "PRO_REC1_ID": "x",
        "PRO_REC1_RAW1_NAME": "old.fits",
        "PRO_REC2_ID": "y",
        "PRO_REC2_RAW1_NAME": "new.fits",
    }
    (checked,) = check_outputs("toy", [product(tmp_path, "p.fits", None, **history)])
    assert checked.inputs == {"new.fits"}


@pytest.mark.parametrize(
    ("keywords", "message"),
    [({"PRO_CATG": ""}, "has no PRO CATG"), ({"PRO_CATG": "OTHER"}, "says in its header that it is OTHER")],
)
def test_a_product_of_no_or_another_category_is_refused(keywords: dict[str, str], message: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=message):
        check_outputs("toy", [product(tmp_path, **keywords)])  # type: ignore[arg-type]


def test_of_two_categories_the_one_in_the_header_counts_where_the_recipe_makes_it(tmp_path: Path) -> None:
    made = product(tmp_path, PRO_CATG="TRANSFER")
    (checked,) = check_outputs("toy", [made], ("TRANSFER",))
    assert (checked.output.path, checked.output.category) == (made.path, "TRANSFER")
    with pytest.raises(RecipeError, match="says in its header that it is TRANSFER"):
        check_outputs("toy", [made], ("OTHER",))


def test_a_product_that_was_never_signed_is_refused(tmp_path: Path) -> None:
    made = product(tmp_path)
    fits.setval(made.path, "DATAMD5", value="Not computed")
    with pytest.raises(RecipeError, match="was not finished"):
        check_outputs("toy", [made])


def test_no_product_a_missing_one_a_dummy_and_a_cut_off_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="made no product"):
        check_outputs("toy", [])
    with pytest.raises(RecipeError, match="cannot be used"):
        check_outputs("toy", [Output(tmp_path / "none.fits", "IMG")])
    dummy = fits.PrimaryHDU()
    dummy.header["HIERARCH ESO PRO CATG"] = "IMG"
    dummy.writeto(tmp_path / "dummy.fits")
    with pytest.raises(RecipeError, match="is a dummy"):
        check_outputs("toy", [Output(tmp_path / "dummy.fits", "IMG")])
    cut = product(tmp_path, "cut.fits")
    cut.path.write_bytes(cut.path.read_bytes()[:-2880])
    with pytest.raises(RecipeError, match="cannot be used"):
        check_outputs("toy", [cut])


def test_a_header_with_measurements_is_a_product_though_it_has_no_data(tmp_path: Path) -> None:
    measured = fits.PrimaryHDU()
    measured.header["HIERARCH ESO PRO CATG"] = "SHIFTS"
    measured.header["HIERARCH ESO QC P1 OFFSETY"] = 3.0
    measured.writeto(tmp_path / "shifts.fits")
    (checked,) = check_outputs("toy", [Output(tmp_path / "shifts.fits", "SHIFTS")])
    assert checked.inputs is None
    del measured.header["HIERARCH ESO PRO CATG"]
    measured.writeto(tmp_path / "shifts.fits", overwrite=True)
    with pytest.raises(RecipeError, match="has no PRO CATG"):
        check_outputs("toy", [Output(tmp_path / "shifts.fits", "SHIFTS")])


def test_an_input_that_no_product_names_is_told_and_a_required_one_is_refused(tmp_path: Path) -> None:
    checked = check_outputs("toy", [product(tmp_path, PRO_REC1_RAW1_NAME="a.fits")])
    sof = of_entries([(Path("/x/a.fits"), "RAW"), (Path("/x/dark.fits"), "DARK")])
    assert find_unlisted_inputs("toy", sof, checked, (), ()) == ("toy did not use DARK (dark.fits)",)
    assert find_unlisted_inputs("toy", sof, checked, ("DARK",), ("DARK",)) == ()
    with pytest.raises(RecipeError, match=r"did not use DARK \(dark.fits\)"):
        find_unlisted_inputs("toy", sof, checked, ("DARK",), ())


def test_an_error_about_a_required_input_is_no_success() -> None:
    sof = of_entries([(Path("/x/a.fits"), "RAW"), (Path("/x/conf.fits"), "CONF")])
    said = ("toy warned: conf.fits is old", f"toy{REPORTED}Unable to load /x/conf.fits[1]")
    refuse_unusable(sof, ("RAW",), said)
    refuse_unusable(sof, ("CONF",), said[:1])
    refuse_unusable(sof, ("CONF",), (f"toy{REPORTED}Unable to load /x/master_conf.fits[1]",))
    with pytest.raises(RecipeError, match=r"CONF could not be used: .*Unable to load"):
        refuse_unusable(sof, ("CONF",), said)


def test_a_product_without_a_list_of_inputs_proves_nothing(tmp_path: Path) -> None:
    checked = check_outputs("toy", [product(tmp_path)])
    assert find_unlisted_inputs("toy", of_entries([(Path("/x/dark.fits"), "DARK")]), checked, ("DARK",), ()) == ()
