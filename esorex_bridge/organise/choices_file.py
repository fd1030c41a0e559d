"""The file of a user's choices in a data root, read and written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from esorex_bridge.disk.atomic import write_whole
from esorex_bridge.errors import UserError

if TYPE_CHECKING:
    from esorex_bridge.datasets.choices import Choices

CHOICES_FILE = "choices.yaml"


def read_choices_file(root: Path, package: str = "") -> dict[str, Choices]:
    """Return the choices kept in a data root, for datasets of trees and rules or for those of a workflow package.

    Raises
    ------
    UserError
        If the file is damaged.
    """
    from esorex_bridge.datasets.choices import read_choices

    return read_choices(_read_document(root), str(root / CHOICES_FILE), package)


def _read_document(root: Path) -> Any:
    path = root / CHOICES_FILE
    if not path.exists():
        return None
    import yaml

    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise UserError(f"{path} is nested too deeply; correct it or delete it") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path} cannot be read: {' '.join(str(error).split())}; correct it or delete it") from None


def write_choices_file(root: Path, choices: Mapping[str, Choices], package: str = "") -> None:
    """Keep choices in a data root; without any the file is taken away.

    Parameters
    ----------
    root : Path
        The data root.
    choices : mapping of str to Choices
        All there are, by dataset.
    package : str
        The workflow package whose datasets they are for; by default they are for those of trees and rules. What is
        kept for others stays.
    """
    import yaml

    from esorex_bridge.datasets.choices import document_of

    path = root / CHOICES_FILE
    document = document_of(choices, _read_document(root) or {}, package)
    if not document["datasets"] and "packages" not in document:
        path.unlink(missing_ok=True)
        return
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
    write_whole(path, f"# Choices made with 'esorex-bridge review'; applied by every run.\n{text}")
