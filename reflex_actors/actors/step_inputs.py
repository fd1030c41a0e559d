"""`step_inputs`: what stands before a step in a workflow: only its own groups, none without main files, the right tags.

Reflex's FitsRouter knows categories alone and its SofCombiner ignores empty sets, so a step whose main files a dataset
does not have would run on its calibrations, and one whose main files also serve another step, as its main files or
directly, would run on these. Where an earlier recipe failed, a recipe may run without what it needs and say nothing.
This actor takes all of that out.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from esorex_bridge.errors import UserError
from reflex_actors.protocol import Actor, Inputs, Port
from reflex_actors.purposes import accumulate, of_step, own_purposes, patterns_of
from reflex_actors.sof_json import FitsFile, SetOfFiles

OTHERS = ("others_sof", "others_sof_2", "others_sof_3")

ACTOR = Actor(
    "step_inputs",
    "Keeps the groups of a step that have main files of its own.",
    (
        Port("in_sof", "files that come together for a step", kind="sof", required=True),
        Port("main_sof", "its main files; without them it gets nothing", kind="sof"),
        *(Port(name, "main files of a step that takes the same files directly", kind="sof") for name in OTHERS),
        Port("names", "tags to change: OLD=NEW, separated by blanks or commas"),
        Port("step", "name of the step, where other steps have main files of the same category"),
        Port("takes", "tags that the recipe takes; a product of another tag gets that of its header, where it is one"),
        Port("required", "tags without which the recipe must not run"),
    ),
    (Port("out_sof", "what the step takes", kind="sof"), Port("messages", "what was left out")),
)


def work(inputs: Inputs) -> dict[str, Any]:
    """Keep what belongs to the step."""
    others = accumulate((inputs.sof(name) for name in OTHERS), same_dataset=False)
    sof = own_purposes(of_step(inputs.sof("in_sof"), inputs.text("step")), others)
    if "main_sof" in inputs:
        sof = with_main_files(sof, own_purposes(of_step(inputs.sof("main_sof"), inputs.text("step")), others))
    sof = by_header(rename_tags(sof, names_in(inputs.text("names"))), patterns_of(inputs.text("takes")))
    required = patterns_of(inputs.text("required"))
    lacking = {purpose: missing for purpose in sof.purposes if (missing := _missing(sof, purpose, required))}
    messages = [f"{purpose} is left out: it has no {' and no '.join(tags)}" for purpose, tags in lacking.items()]
    for line in messages:
        sys.stderr.write(f"{sof.dataset}: {line}\n")
    return {"out_sof": without_purposes(sof, lacking), "messages": "\n".join(messages)}


def without_purposes(sof: SetOfFiles, purposes: Iterable[str]) -> SetOfFiles:
    """Return a SoF without some purposes; universal files stay only where any other file does."""
    left = own_purposes(sof, SetOfFiles(files=(FitsFile("", "", tuple(purposes)),)))
    return left if left.purposes or not sof.purposes else sof.with_files(())


def _missing(sof: SetOfFiles, purpose: str, required: Iterable[str]) -> tuple[str, ...]:
    present = {file.category for file in sof.files if file.universal or purpose in file.purposes}
    return tuple(tag for tag in required if tag not in present)


def with_main_files(sof: SetOfFiles, main: SetOfFiles) -> SetOfFiles:
    """Return a SoF with the purposes that main files have; nothing where there are no main files."""
    if not main.files:
        return sof.with_files(())
    if any(file.universal for file in main.files):
        return sof
    served = set(main.purposes)
    kept = (replace(file, purposes=tuple(served.intersection(file.purposes))) for file in sof.files)
    return sof.with_files(new for new, old in zip(kept, sof.files, strict=True) if new.purposes or old.universal)


def rename_tags(sof: SetOfFiles, names: Mapping[str, str]) -> SetOfFiles:
    """Return a SoF with other tags."""
    return sof.with_files(replace(file, category=names.get(file.category, file.category)) for file in sof.files)


def by_header(sof: SetOfFiles, takes: Collection[str]) -> SetOfFiles:
    """Return a SoF in which a product has the category of its header where a recipe takes that and not its tag.

    EsoRex lists what `amber_trf` makes under the category of the frames that it was made of.
    """
    return sof.with_files(
        replace(file, category=stated)
        if file.category not in takes and (stated := _read_category(file.name)) in takes
        else file
        for file in sof.files
    )


def _read_category(name: str) -> str:
    from esorex_bridge.fits.header import read_header

    path = Path(name)
    return str(read_header(path).get("PRO.CATG") or "").strip() if path.is_file() else ""


def names_in(text: str) -> dict[str, str]:
    """Return new tags by old ones.

    Raises
    ------
    UserError
        If a word is not of the form OLD=NEW.
    """
    found = {}
    for word in text.replace(",", " ").split():
        old, equals, new = word.partition("=")
        if not (old and equals and new):
            raise UserError(f"names holds '{word}', which is not of the form OLD=NEW")
        found[old] = new
    return found
