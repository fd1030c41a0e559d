"""What is kept from the archive: unpacked files, night logs, packages, trees to ask for again, passwords."""

from __future__ import annotations

import gzip
import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import keyring
import keyring.backend
import numpy as np
import pytest
from astropy.io import fits
from keyring.errors import PasswordDeleteError

from esorex_bridge.archive.auth import Credentials, forget_password, store_password, stored_password
from esorex_bridge.archive.calselector import Outcome, without_tree
from esorex_bridge.archive.file_fetcher import existing
from esorex_bridge.archive.nightlog import read_night_log
from esorex_bridge.archive.package import check, read_package
from esorex_bridge.archive.refresh import change, due
from esorex_bridge.archive.saved_login import credentials, forget_user, remember_user, remembered_user
from esorex_bridge.archive.trees import SavedTree, saved_trees
from esorex_bridge.archive.unpack import unpack_if_due
from esorex_bridge.archive.verify_stream import digest_of
from esorex_bridge.datasets.association import AssociatedFile, Association, AssociationTree, Mode
from esorex_bridge.disk.stamp import settled_stamp
from esorex_bridge.errors import DataError, UserError
from esorex_bridge.fits.verify import verify_fits

FRAME = "TESTER.2020-01-01T00:00:00.000"
NOW = datetime(2026, 1, 31, tzinfo=UTC)


@pytest.mark.parametrize("kind", [np.int16, np.uint16, np.int32])
def test_an_image_that_was_packed_whole_is_unpacked_into_its_primary(tmp_path: Path, kind: type) -> None:
    image = np.arange(40_000, dtype=kind).reshape(200, 200)
    header = fits.Header([("INSTRUME", "TESTER"), ("EXPTIME", 2.5), ("HIERARCH ESO DET DIT", 1.5)])
    packed = tmp_path / f"{FRAME}.fits.fz"
    fits.CompImageHDU(image, header).writeto(packed)
    # fpack marks a primary image so; astropy does not.
    with fits.open(packed, mode="update", disable_image_compression=True) as hdus:
        hdus[1].header["ZSIMPLE"] = True
    result = unpack_if_due(packed, verify_fits(packed).digest, "auto")
    assert result is not None
    path, digest = result
    assert path == tmp_path / f"{FRAME}.fits" and not packed.exists()
    assert verify_fits(path).digest == digest
    with fits.open(path) as hdus:
        assert len(hdus) == 1 and hdus[0].header["EXPTIME"] == 2.5 and hdus[0].header["ESO DET DIT"] == 1.5
        assert hdus[0].data.dtype == np.dtype(kind).newbyteorder(">") or kind is np.uint16
        assert np.array_equal(hdus[0].data, image)


def test_a_file_of_several_packed_images_is_left_alone(tmp_path: Path) -> None:
    packed = tmp_path / f"{FRAME}.fits.fz"
    image = np.zeros((50, 50), dtype=np.int16)
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(image), fits.CompImageHDU(image)]).writeto(packed)
    assert unpack_if_due(packed, verify_fits(packed).digest, "auto") is None
    assert packed.exists()


@pytest.mark.real
def test_a_real_night_log_has_its_grade(real: Path) -> None:
    log = read_night_log(next((real / "nightlog").iterdir()).read_bytes())
    assert log.grade == "A" and "General weather conditions" in log.text


def test_a_night_log_of_several_blocks_has_the_grade_of_the_last() -> None:
    log = read_night_log(b"Grade:       \t \tC\n---\nGrade:  \t_\nno Grade: A here\n\xe9")
    assert (log.grades, log.grade) == (("C", "_"), "_")
    assert read_night_log(b"nothing").grade is None


def test_files_are_found_by_archive_name_whatever_their_form(tmp_path: Path) -> None:
    for name in (
        f"{FRAME}.fits.Z",
        "TESTER.2020-01-01T01_00_00.000.fits",
        "M.TESTER.2019-01-01T00:00:00.000.fits",
        f"{FRAME}.NL.txt",
        "ADP.2014-10-01T10:19:21.580.tar",
        f"{FRAME}_raw2raw.xml",
        f"{FRAME}.part",
        f"{FRAME}.part.json",
        ".hidden.fits",
    ):
        (tmp_path / name).write_bytes(b"x")
    assert set(existing(tmp_path)) == {
        FRAME,
        "TESTER.2020-01-01T01:00:00.000",
        "M.TESTER.2019-01-01T00:00:00.000",
        f"{FRAME}.NL",
        "ADP.2014-10-01T10:19:21.580",
    }


def test_an_archive_of_files_is_taken_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "ADP.2014-10-01T10:19:21.580.tar.gz"
    path.write_bytes(gzip.compress(b"no FITS within"))
    assert digest_of(path) == f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    path = path.rename(path.with_name("ADP.2014-10-01T10:19:21.580.fits.gz"))
    with pytest.raises(DataError):
        digest_of(path)


def test_a_plain_file_goes_before_a_packed_one(tmp_path: Path) -> None:
    for suffix in (".fits.Z", ".fits"):
        (tmp_path / f"{FRAME}{suffix}").write_bytes(b"x")
    assert existing(tmp_path)[FRAME].suffix == ".fits"


@pytest.mark.real
def test_a_package_of_the_old_form_is_read(real: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data_with_raw_calibs"
    folder.mkdir()
    tree = (real / "astroquery" / "FORS2.2021-01-02T00_59_12.533_raw2raw.xml").read_bytes()
    (folder / "FORS2.2021-01-02T00_59_12.533.xml").write_bytes(tree)
    (tmp_path / "downloadRequest12345script.sh").write_text(
        'wget "https://dataportal.eso.org/dataPortal/api/requests/x/1/SAF/FORS2.2021-01-02T00:59:12.533/'
        'FORS2.2021-01-02T00:59:12.533.fits.Z" -P data_with_raw_calibs\n'
    )
    package = read_package(tmp_path)
    assert len(package.folders[0].trees) == 1
    assert len(package.missing) == 51
    assert package.listed == ("FORS2.2021-01-02T00:59:12.533",)


def test_a_package_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame, read = tmp_path / f"{FRAME}.fits", []
    fits.PrimaryHDU(np.zeros((10, 10))).writeto(frame)
    settled_stamp(frame)  # waits until any later change would show
    monkeypatch.setattr("esorex_bridge.archive.package.digest_of", lambda path: read.append(path) or digest_of(path))
    (folder,) = read_package(tmp_path).folders
    assert [item.damage for item in (*check(folder), *check(folder))] == ["", ""]
    assert read == [frame]


def test_a_folder_without_files_of_the_archive_is_no_package(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "other.xml").write_text("<html/>")
    with pytest.raises(UserError, match="no files of the archive"):
        read_package(tmp_path)


def saved(certified: bool = True, complete: bool = True, asked: Mode = "Raw2Raw", days: int = 1) -> SavedTree:
    root = Association("SCI", (AssociatedFile(FRAME, "RAW"),), certified=certified, complete=complete)
    return SavedTree(Path("a.xml"), AssociationTree(root, "Raw2Raw"), FRAME, asked, NOW - timedelta(days=days))


@pytest.mark.parametrize(
    ("tree", "reason"),
    [
        (saved(certified=False), "not certified"),
        (saved(complete=False), "incomplete"),
        (saved(asked="Raw2Master"), "Raw2Master was asked for, Raw2Raw given"),
        (saved(days=40), "40 days old"),
    ],
)
def test_trees_worth_asking_for_again(tree: SavedTree, reason: str) -> None:
    assert [item.reason for item in due([saved(), tree], NOW, 30)] == [reason]


def test_a_tree_is_not_given_up_for_a_refusal() -> None:
    changed = change(saved(), without_tree(FRAME, "Raw2Raw", Outcome.DENIED, "no access"))
    assert not changed.take and "no access" in changed.remarks[0]


def test_other_xml_in_a_data_folder_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "workflow.xml").write_text("<entity/>")
    (tmp_path / "broken.xml").write_text("<association")
    assert saved_trees(tmp_path) == ()


class Memory(keyring.backend.KeyringBackend):
    """A keyring in memory."""

    priority = 1.0  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.kept.pop((service, username), None) is None:
            raise PasswordDeleteError("not there")


@pytest.fixture
def memory() -> Memory:
    """Use a keyring in memory."""
    before = keyring.get_keyring()
    chosen = Memory()
    keyring.set_keyring(chosen)
    yield chosen  # type: ignore[misc]
    keyring.set_keyring(before)


def test_a_password_is_kept_under_the_name_that_astroquery_uses(memory: Memory) -> None:
    store_password(Credentials("somebody", "secret"))
    assert memory.kept == {("astroquery:www.eso.org", "somebody"): "secret"}
    assert stored_password("somebody") == "secret"
    assert forget_password("somebody") and not forget_password("somebody")


def test_a_keyring_that_keeps_nothing_is_said() -> None:
    with pytest.raises(UserError, match="ESO_PASSWORD"):
        store_password(Credentials("somebody", "secret"))


def test_the_user_of_the_last_login_is_remembered_and_the_password_is_not(memory: Memory, tmp_path: Path) -> None:
    environment = {"XDG_CONFIG_HOME": str(tmp_path)}
    assert remembered_user(environment) is None
    remember_user(environment, "somebody")
    store_password(Credentials("somebody", "secret"))
    found = credentials(environment)
    assert found is not None and (found.user, found.password, found.source) == ("somebody", "secret", "keyring")
    assert "secret" not in "".join(path.read_text() for path in tmp_path.rglob("*.json"))
    forget_user(environment)
    assert remembered_user(environment) is None
