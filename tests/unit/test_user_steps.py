"""What a step of the user's own is made of."""

from __future__ import annotations

from pathlib import Path

from esorex_bridge.datasets.dataset import Purpose
from esorex_bridge.esorex.recipe import Recipe
from esorex_bridge.esorex.user_steps import describe
from esorex_bridge.files import Digest
from esorex_bridge.plan.plan import Step, StepName


def plugin_of(*command: str) -> Digest:
    recipe = describe(Step(StepName("own_1"), "own_1", "own", (), (), ("X",), Purpose("X"), command=command))
    assert isinstance(recipe, Recipe)
    return recipe.plugin


def test_a_file_that_a_word_of_the_command_names_counts_by_its_content(tmp_path: Path) -> None:
    table, other = tmp_path / "table.txt", tmp_path / "other.txt"
    table.write_text("1\n")
    other.write_text("1\n")
    first = plugin_of("sh", str(table), f"--table={table}")
    assert plugin_of("sh", str(other), f"--table={other}") == first
    assert plugin_of("sh", str(other), f"--chart={other}") != first
    other.write_text("2\n")
    assert plugin_of("sh", str(other), f"--table={table}") != first
    assert plugin_of("sh", str(table), f"--table={other}") != first


def test_words_that_name_no_file_count_as_they_are(tmp_path: Path) -> None:
    assert plugin_of("sh", "--smooth=5") != plugin_of("sh", "--smooth=6")
    assert plugin_of("sh", f"--out={tmp_path}/a") != plugin_of("sh", f"--out={tmp_path}/b")
