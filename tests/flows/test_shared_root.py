"""A root that a group works in: who may write what, and what is done for those who may only read."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.batch_runs import COMMAND, JOBS, executions
from tests.flows.conftest import SMALL, Ended

pytestmark = pytest.mark.usefixtures("esorex")


def shut_out(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `esorex-bridge` as somebody for whom the bits of files count; for root of this machine they do not."""
    plain: tuple[str, ...] = ()
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("setpriv is not installed, without which root may write everywhere")
        plain = ("setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner", "--")
    return subprocess.run([*plain, COMMAND, *words, "--root", str(root)], capture_output=True, text=True, check=False)


def made_below(root: Path) -> Iterator[Path]:
    """Yield what was made below a root, the data excepted."""
    for path in root.rglob("*"):
        if not path.is_relative_to(root / "reflex_input") and not path.is_symlink():
            yield path


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_what_is_made_takes_the_group_bits_of_the_root(root: Path, bridge: Callable[..., Ended], umask: int) -> None:
    for folder in (root, *(path for path in root.rglob("*") if path.is_dir())):
        folder.chmod(0o2775)
    (root / "jobs.yaml").write_text(JOBS)
    (root / "jobs.yaml").chmod(0o664)
    before = os.umask(umask)
    try:
        assert bridge("run", "--root", root, *SMALL).code == 0
        done = bridge("batch", root / "jobs.yaml", "--root", root, "--name", "b", "--force", "naco_img_dark")
        assert done.code == 0, done.err
    finally:
        os.umask(before)
    made = list(made_below(root))
    assert len(made) > 50
    assert [path for path in made if not path.stat().st_mode & stat.S_IWGRP] == []
    folders = [path for path in made if path.is_dir()]
    assert [path for path in folders if not path.stat().st_mode & stat.S_ISGID] == []
    scripts = [path for path in made if path.name == "cmdline.sh"]
    assert scripts
    assert all(path.stat().st_mode & stat.S_IXGRP for path in scripts)


def test_a_root_that_no_group_may_write_keeps_the_umask(root: Path, bridge: Callable[..., Ended]) -> None:
    root.chmod(0o755)
    before = os.umask(0o077)
    try:
        bridge("run", "--root", root, *SMALL)
    finally:
        os.umask(before)
    assert [path for path in made_below(root) if path.stat().st_mode & 0o077] == []


def test_what_is_all_made_can_be_run_by_who_may_only_read(root: Path, bridge: Callable[..., Ended]) -> None:
    bridge("run", "--root", root, *SMALL)
    for path in (root, *root.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & ~0o222)
    for words in (("run", *SMALL), ("status",), ("batch", "status")):
        done = shut_out(root, *words)
        if words[0] == "batch":
            assert "there is no batch" in done.stderr
        else:
            assert done.returncode == 0, done.stderr
    assert "reused" in shut_out(root, "run", *SMALL).stdout


@pytest.mark.parametrize("what", ["esorex_bridge.db", "naco/bookkeeping.db", "locks/going_on"])
def test_a_root_that_cannot_be_recorded_in_is_refused_before_a_recipe_starts(
    root: Path, bridge: Callable[..., Ended], what: str
) -> None:
    bridge("run", "--root", root, *SMALL)
    before = executions(root)
    (root / "reflex_book_keeping" / what).chmod(0o444)
    (root / "jobs.yaml").write_text(JOBS)
    for words in (("run", *SMALL), ("batch", str(root / "jobs.yaml"), "--name", "b")):
        done = shut_out(root, *words, "--force", "naco_img_dark")
        assert done.returncode == 1
        assert f"{what} belongs to" in done.stderr
    assert executions(root) == before
