"""Holds a crate against a profile with the public validator; run by the validator's own Python.

    python crate_validator.py CRATE PROFILE …

The validator asks the network for the context of RO-Crate 1.1, so a copy of the crate gets that of the rocrate package
instead, whose terms of Bioschemas are those of RO-Crate 1.3.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path

import rocrate
from rocrate_validator import models, services


def with_local_context(crate: Path, folder: Path) -> Path:
    """Copy a crate with the context put into its metadata."""
    copied = folder / "crate"
    shutil.copytree(crate, copied)
    listed = json.loads((Path(rocrate.__file__).parent / "data" / "ro-crate.jsonld").read_text())["@context"]
    terms = {name: uri.replace("bioschemas.org/terms/", "bioschemas.org/") for name, uri in listed.items()}
    metadata = copied / "ro-crate-metadata.json"
    document = json.loads(metadata.read_text())
    document["@context"] = [terms, *document["@context"][1:]]
    metadata.write_text(json.dumps(document))
    return copied


def problems(crate: Path, profile: str) -> list[str]:
    """Return the required checks of a profile that a crate fails."""
    settings = services.ValidationSettings(
        rocrate_uri=str(crate), profile_identifier=profile, requirement_severity=models.Severity.REQUIRED
    )
    issues = services.validate(settings).get_issues()
    return [f"{issue.check.identifier}: {issue.message}" for issue in issues]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        copied = with_local_context(Path(sys.argv[1]), Path(folder))
        print(json.dumps({profile: problems(copied, profile) for profile in sys.argv[2:]}))
