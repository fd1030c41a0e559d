"""The file of a user's choices in a data root, read and written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from esorex_bridge.disk.atomic import write_whole
from esorex_bridge.errors import UserError

if TYPE_CHECKING:
    from esorex_bridge.datasets.choices import Choices

CHOICES_FILE = "choices.yaml"


def read_choices_file(root: Path) -> dict[str, Choices]:
    """Return the choices kept in a data root.

    Raises
    ------
    UserError
        The file is damaged.
    """
    import yaml

    from esorex_bridge.datasets.choices import read_choices

    path = root / CHOICES_FILE
    if not path.exists():
        return {}
    try:
        return read_choices(yaml.safe_load(path.read_text(encoding="utf-8")), str(path))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path} cannot be read: {' '.join(str(error).split())}; mend it or remove it") from None


def write_choices_file(root: Path, choices: Mapping[str, Choices]) -> None:
    """Keep choices in a data root; without any the file is taken away."""
    import yaml

    from esorex_bridge.datasets.choices import document_of

    path = root / CHOICES_FILE
    if not any(choices.values()):
        path.unlink(missing_ok=True)
        return
    text = yaml.safe_dump(document_of(choices), sort_keys=False, allow_unicode=True)
    write_whole(path, f"# Choices made with 'esorex-bridge review'; applied by every run.\n{text}")
