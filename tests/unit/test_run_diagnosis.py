from __future__ import annotations

import pytest

from esorex_bridge.esorex.diagnosis import explain_exit, first_error


@pytest.mark.parametrize(
    ("code", "words"),
    [(6, "damaged"), (10, "data not found"), (139, "crashed"), (-11, "SIGSEGV"), (143, "ended from outside (SIGTERM)"),
     (66, "disk is full"), (255, "refused"), (77, "unknown")],
)  # fmt: skip
def test_exit_codes_are_explained(code: int, words: str) -> None:
    assert words in explain_exit(code)


def test_the_root_of_an_error_dump_is_found() -> None:
    log = "[ ERROR ] naco_img_dark: something\n[1/3] 'Data not found: CAL_DARK' (10) at f:naco.c:1\n[2/3] 'later' (1)"
    assert first_error(log) == "'Data not found: CAL_DARK' (10) at f:naco.c:1"


def test_without_a_dump_the_first_error_of_the_recipe_is_found_not_that_of_esorex() -> None:
    text = (
        "[ ERROR ] esorex: Execution failed\n00:17:13 [ ERROR ] muse_bias: [tid=000] Required 3, found 2 input frames"
    )
    assert first_error(text) == "muse_bias: Required 3, found 2 input frames"
    assert first_error("[ ERROR ] esorex: Unable to find recipe") == "esorex: Unable to find recipe"
    assert first_error("[WARNING] x: y") == ""
