"""Where products come from: told by the store, held against what CPL wrote into the products' own headers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from astropy.io import fits

from esorex_bridge.demo.nights.naco import naco_night
from esorex_bridge.fits.header import read_header
from esorex_bridge.fits.verify import verify_fits
from tests.flows.conftest import SMALL, Ended, put_on_disk

pytestmark = pytest.mark.usefixtures("esorex")


@pytest.fixture(scope="module")
def reduced(tmp_path_factory: pytest.TempPathFactory, frames_folder: Path, bridge: Callable[..., Ended]) -> Path:
    """Return the root of a small NACO night that was reduced."""
    root = tmp_path_factory.mktemp("reduced")
    put_on_disk(naco_night(npix=128), frames_folder, root)
    ended = bridge("run", "--root", root, *SMALL)
    assert ended.code == 0, ended.err
    return root


def end_product(root: Path) -> Path:
    (product,) = (root / "reflex_end_products").rglob("*.fits")
    return product


def headers_inputs(product: Path) -> list[tuple[str, str]]:
    """Return (name without ending, tag) of all inputs that CPL noted in a product's header."""
    header = read_header(product)
    names = [key for key in header if key.startswith("PRO.REC1.") and key.endswith(".NAME") and "PARAM" not in key]
    return sorted((Path(str(header[key])).name, str(header[key.replace("NAME", "CATG")])) for key in names)


def documents_inputs(document: dict[str, Any], step: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the same of a step of a provenance document."""
    makers = {each["key"]: each for each in document["steps"]}
    found = []
    for entry in step["inputs"]:
        if "file" in entry:
            found.append((entry["file"], entry["category"]))
            continue
        made = makers[entry["step"]]["products"]
        found += [(product["file"], entry["category"]) for product in made if product["category"] == entry["product"]]
    return sorted(found)


def test_every_step_names_the_inputs_that_cpl_noted_in_its_products(
    reduced: Path, bridge: Callable[..., Ended]
) -> None:
    document = bridge("provenance", end_product(reduced), "--root", reduced, "--json").json
    assert {step["recipe"] for step in document["steps"]} == {"naco_img_dark", "naco_img_twflat", "naco_img_jitter"}
    products = {path.name: path for path in (reduced / "reflex_tmp_products").rglob("*.fits")}
    for step in document["steps"]:
        noted = {(name.removesuffix(".fits"), tag) for name, tag in headers_inputs(products[made_first(step)])}
        told = {(name.removesuffix(".fits"), tag) for name, tag in documents_inputs(document, step)}
        assert noted <= told
        # naco_img_jitter subtracts the dark and does not name it in the header.
        assert {tag for _, tag in told - noted} <= {"NACO_IMG_DARK_AVG"}


def made_first(step: dict[str, Any]) -> str:
    return str(step["products"][0]["file"])


def test_contents_are_those_of_the_files_on_disk(reduced: Path, bridge: Callable[..., Ended]) -> None:
    document = bridge("provenance", end_product(reduced), "--root", reduced, "--json").json
    raws = {path.name.removesuffix(".fits"): path for path in (reduced / "reflex_input").rglob("*.fits")}
    sources = [entry for entry in document["sources"] if entry["kind"] == "raw"]
    assert len(sources) > 5
    for entry in sources:
        assert f"sha256:{entry['sha256']}" == verify_fits(raws[entry["file"]]).digest


def test_a_product_is_known_by_its_content_wherever_it_was_copied(
    reduced: Path, tmp_path: Path, bridge: Callable[..., Ended]
) -> None:
    copied = tmp_path / "x.fits"
    shutil.copyfile(end_product(reduced), copied)
    at_home = bridge("provenance", end_product(reduced), "--root", reduced, "--json").json
    elsewhere = bridge("provenance", copied, "--root", reduced, "--json").json
    assert elsewhere["steps"] == at_home["steps"]
    assert elsewhere["products"][0]["file"] == "x.fits"


@pytest.mark.parametrize("word", ["name", "dataset", "step", "recipe", "key"])
def test_a_product_is_found_by_name_dataset_step_recipe_or_key(
    word: str, reduced: Path, bridge: Callable[..., Ended]
) -> None:
    product = end_product(reduced)
    by_path = bridge("provenance", product, "--root", reduced, "--json").json
    words = {
        "name": product.name,
        "dataset": product.parent.name,
        "step": "naco_img_jitter_1",
        "recipe": "naco_img_jitter",
        "key": by_path["steps"][-1]["key"][:12],
    }
    found = bridge("provenance", words[word], "--root", reduced, "--json")
    assert found.code == 0, found.err
    assert found.json["steps"] == by_path["steps"]


def test_the_text_names_every_raw_once_a_step_and_who_set_a_parameter(
    reduced: Path, bridge: Callable[..., Ended]
) -> None:
    told = bridge("provenance", end_product(reduced), "--root", reduced).out
    document = bridge("provenance", end_product(reduced), "--root", reduced, "--json").json
    assert all(entry["file"] in told for entry in document["sources"])
    assert "naco_img_dark.r" not in told.replace("rej_bord", "")
    assert "rej_bord = 8 8 8 8  (--set)" in told
    assert "naco.naco_img_twflat.bpm = TRUE  (workflow naco)" in told


def test_a_file_that_no_step_made_is_refused_with_where_to_look(reduced: Path, bridge: Callable[..., Ended]) -> None:
    raw = next((reduced / "reflex_input").rglob("*.fits"))
    ended = bridge("provenance", raw, "--root", reduced)
    assert ended.code == 1
    assert "no step of this data root made" in ended.err


def test_an_unknown_name_is_answered_with_the_datasets_there_are(reduced: Path, bridge: Callable[..., Ended]) -> None:
    ended = bridge("provenance", "nothing", "--root", reduced)
    assert ended.code == 1
    assert end_product(reduced).parent.name in ended.err


def test_prov_json_derives_the_product_from_every_raw(
    reduced: Path, tmp_path: Path, bridge: Callable[..., Ended]
) -> None:
    file = tmp_path / "x.prov.json"
    document = bridge("provenance", end_product(reduced), "--root", reduced, "--json", "--prov", file).json
    prov = json.loads(file.read_text())
    derived: dict[str, set[str]] = {}
    for relation in prov["wasDerivedFrom"].values():
        derived.setdefault(relation["prov:generatedEntity"], set()).add(relation["prov:usedEntity"])
    reached, waiting = set(), [f"file:{document['products'][0]['sha256']}"]
    while waiting:
        for entity in derived.get(waiting.pop(), set()) - reached:
            reached.add(entity)
            waiting.append(entity)
    assert {f"file:{entry['sha256']}" for entry in document["sources"]} <= reached
    assert reached <= set(prov["entity"])


def test_a_public_reader_takes_the_prov_json(reduced: Path, tmp_path: Path, bridge: Callable[..., Ended]) -> None:
    model = pytest.importorskip("prov.model", reason="the package prov is not installed")
    file = tmp_path / "x.prov.json"
    assert bridge("provenance", end_product(reduced), "--root", reduced, "--prov", file).code == 0
    with file.open() as stream:
        read = model.ProvDocument.deserialize(stream, format="json")
    (jitter,) = (each for each in read.get_records(model.ProvActivity) if "naco_img_jitter_1" in str(each.label))
    parameters = {str(value) for name, value in jitter.attributes if name.localpart == "parameter"}
    assert "naco.naco_img_jitter.rej=2 2" in parameters or len(parameters) > 3


def test_the_versions_are_told_and_no_folder_of_this_machine(reduced: Path, bridge: Callable[..., Ended]) -> None:
    ended = bridge("provenance", end_product(reduced), "--root", reduced, "--json")
    stated = {
        str(fits.getheader(path)["HIERARCH ESO PRO REC1 DRS ID"])
        for path in (reduced / "reflex_tmp_products").rglob("*.fits")
    }
    assert {step["cpl"] for step in ended.json["steps"]} == stated
    assert all(version in bridge("provenance", end_product(reduced), "--root", reduced).out for version in stated)
    assert any(step["warnings"] for step in ended.json["steps"])
    assert str(reduced) not in ended.out


def test_of_a_product_made_of_a_product_the_header_tells_the_last_run(
    reduced: Path, tmp_path: Path, bridge: Callable[..., Ended]
) -> None:
    """CPL keeps the cards of the first input, and numbers its own on."""
    copied = tmp_path / "second.fits"
    shutil.copyfile(end_product(reduced), copied)
    with fits.open(copied, mode="update") as hdus:
        for card in list(hdus[0].header["ESO PRO REC1 *"].cards):
            hdus[0].header[f"HIERARCH {card.keyword.replace('REC1', 'REC2')}"] = card.value
        hdus[0].header["HIERARCH ESO PRO REC1 ID"] = "naco_img_before"
        hdus[0].header["HIERARCH ESO PRO REC1 RAW1 NAME"] = "NACO.2001-01-01T00:00:00.000.fits"
    told = bridge("provenance", copied, "--from-header", "--root", tmp_path, "--json")
    assert told.code == 0, told.err
    (step,) = told.json["steps"]
    assert step["recipe"] == "naco_img_jitter"
    assert "NACO.2001-01-01T00:00:00.000" not in {entry["file"] for entry in step["inputs"]}
    assert any("PRO REC1 of naco_img_before" in warning for warning in step["warnings"])


def test_reading_provenance_changes_nothing(reduced: Path, bridge: Callable[..., Ended]) -> None:
    def state() -> dict[str, tuple[int, int]]:
        files = (path for path in reduced.rglob("*") if path.is_file())
        return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in files}

    before = state()
    bridge("provenance", end_product(reduced), "--root", reduced)
    assert state() == before


def test_beside_an_end_product_lies_the_document_that_provenance_prints(
    reduced: Path, bridge: Callable[..., Ended]
) -> None:
    product = end_product(reduced)
    beside = json.loads((product.parent / "provenance.json").read_text())
    assert bridge("provenance", product, "--root", reduced, "--json").json == beside
    assert {entry["file"] for entry in beside["products"]} == {product.name}


def test_a_second_delivery_is_told_beside_the_first(tmp_path: Path, reduced: Path) -> None:
    """Two steps of a dataset deliver into one folder, and a file that went away is told of no more."""
    from esorex_bridge.provenance.beside import Describer, add_provenance, store_above

    products = sorted((reduced / "reflex_tmp_products").rglob("*.fits"))[:3]
    copies = {path: shutil.copyfile(path, tmp_path / path.name) for path in products}
    with store_above(products[0]) as store:
        for path, copy in copies.items():
            document = add_provenance(tmp_path, {copy: verify_fits(path).digest}, Describer(store))
        assert {entry.file for entry in document.products} == {path.name for path in products}
        copies[products[0]].unlink()
        document = add_provenance(tmp_path, {copies[products[1]]: verify_fits(products[1]).digest}, Describer(store))
    assert {entry.file for entry in document.products} == {path.name for path in products[1:]}


def test_why_leads_from_a_product_to_its_provenance(reduced: Path, bridge: Callable[..., Ended]) -> None:
    product = end_product(reduced)
    told = bridge("provenance", product, "--root", reduced).out
    assert bridge("why", product, "--root", reduced).out == told
    (fact,) = bridge("why", product, "--root", reduced, "--json").json["reasons"]
    assert (fact["kind"], fact["category"], fact["recipe"]) == ("product", "COADDED_IMG", "naco_img_jitter")
    assert "NACO.2016-03-02T00:30:00.076" in fact["raws"] and "NACO.2016-03-01T16:00:00.076" in fact["raws"]
    assert bridge("why", "nothing.fits", "--root", reduced).code == 1


def test_the_published_schema_is_that_of_the_document(reduced: Path, bridge: Callable[..., Ended]) -> None:
    from msgspec.json import schema

    from esorex_bridge.provenance.document import ProvenanceDocument

    published = Path(__file__).resolve().parents[2] / "docs" / "reference" / "schemas" / "provenance.json"
    assert json.loads(published.read_text()) == json.loads(json.dumps(schema(ProvenanceDocument)))
    document = bridge("provenance", end_product(reduced), "--root", reduced, "--json").json
    known = json.loads(published.read_text())["$defs"]["ProvenanceDocument"]["properties"]
    assert set(document) <= set(known)


def associations_in_trees(root: Path) -> dict[str, tuple[str, str]]:
    """Return match and certification that calSelector's XML states for each file, read here by itself."""
    from xml.etree import ElementTree

    found: dict[str, tuple[str, str]] = {}
    for path in (root / "reflex_input").rglob("*.xml"):
        for node in ElementTree.parse(path).iter():
            group = node.find("mainFiles") if node.tag == "association" else None
            if group is not None:
                for file in group.iter("file"):
                    told = node.get("match", ""), node.get("certified", "")
                    found[file.get("name", "")] = told
    return found


def test_every_calibration_is_told_with_how_it_was_associated_and_who_chose_it(
    reduced: Path, bridge: Callable[..., Ended]
) -> None:
    document = bridge("provenance", end_product(reduced), "--root", reduced, "--json").json
    jitter = document["steps"][-1]
    science = [entry for entry in jitter["inputs"] if "step" not in entry]
    assert all("association" not in entry for entry in science)
    calibrations = [entry for step in document["steps"] for entry in step["inputs"] if entry not in science]
    assert len(calibrations) > 8
    assert {entry["association"]["chosen_by"] for entry in calibrations} == {"calSelector"}
    stated = associations_in_trees(reduced)
    for entry in (each for each in calibrations if "file" in each):
        match, certified = stated[entry["file"]]
        assert entry["association"]["match"] == match
        assert str(entry["association"]["certified"]).lower() == certified
    made = [entry["association"] for entry in jitter["inputs"] if "step" in entry]
    assert all(each["level"] == 0 and 0 < each["days"] < 1 for each in made)
    assert "(calSelector: calib_plan, level 0, 0." in bridge("provenance", end_product(reduced), "--root", reduced).out


def test_a_calibration_that_the_user_chose_says_so(
    tmp_path: Path, frames_folder: Path, bridge: Callable[..., Ended]
) -> None:
    put_on_disk(naco_night(npix=128), frames_folder, tmp_path)
    dataset = "NACO.2016-03-02T00:30:00.076_tpl"
    own = tmp_path / "own_flat.fits"
    assert bridge("run", "--root", tmp_path, *SMALL).code == 0
    shutil.copyfile(next((tmp_path / "reflex_tmp_products").rglob("*twflat*set01.fits")), own)
    chosen = bridge("review", dataset, "--root", tmp_path, "--replace", f"MASTER_IMG_FLAT={own}")
    assert chosen.code == 0, chosen.err
    assert bridge("run", "--root", tmp_path, *SMALL).code == 0
    document = bridge("provenance", dataset, "--root", tmp_path, "--json").json
    (flat,) = (entry for entry in document["steps"][-1]["inputs"] if entry["category"] == "MASTER_IMG_FLAT")
    assert (flat["file"], flat["association"]["chosen_by"]) == ("own_flat", "review")
    assert flat["association"]["match"] is None


def test_a_header_of_phase_3_names_more_of_what_a_product_was_made_of(
    reduced: Path, tmp_path: Path, bridge: Callable[..., Ended]
) -> None:
    copied, bare = tmp_path / "phase3.fits", tmp_path / "bare.fits"
    shutil.copyfile(end_product(reduced), copied)
    raw = "NACO.2016-03-02T00:30:00.076"
    with fits.open(copied, mode="update") as hdus:
        hdus[0].header["PROV1"], hdus[0].header["PROV2"] = f"{raw}.fits", "NACO.2016-03-01T16:00:00.076.fits"
    told = bridge("provenance", copied, "--from-header", "--root", tmp_path)
    assert told.code == 0, told.err
    (line,) = (line for line in told.out.splitlines() if "PROVi" in line)
    assert "NACO.2016-03-01T16:00:00.076" in line
    assert raw not in line
    fits.PrimaryHDU(header=fits.Header({"PROV1": f"{raw}.fits"})).writeto(bare)
    refused = bridge("provenance", bare, "--from-header", "--root", tmp_path)
    assert refused.code == 1
    assert f"made of {raw}" in refused.err
