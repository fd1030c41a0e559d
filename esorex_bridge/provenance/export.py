"""Writing a crate: files copied under names that hold anywhere, metadata, manifest, signature."""

from __future__ import annotations

import json
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from esorex_bridge.errors import DataError, UserError
from esorex_bridge.provenance import manifest
from esorex_bridge.provenance.crate import (
    METADATA,
    README,
    WORKFLOW,
    CrateContents,
    folder_of,
    metadata,
    readme,
    workflow_document,
)
from esorex_bridge.provenance.document import FILE_NAME, ProvenanceDocument, StepEntry, document_of, encode, hex_of
from esorex_bridge.provenance.lineage import Activity, Lineage, Source
from esorex_bridge.workspace.folders import safe_name

_SIGN_SECONDS = 60


class CrateOptions(Struct, frozen=True):
    """What a crate holds beside SOFs, parameters, logs and provenance.

    Parameters
    ----------
    products, raws : bool
        Whether it holds the products that it is about; whether all files that no step made.
    key : Path or None
        A private key of SSH to sign the manifest with.
    """

    products: bool = False
    raws: bool = False
    key: Path | None = None


def export_crate(lineage: Lineage, name: str, folder: Path, options: CrateOptions) -> tuple[Path, ...]:
    """Write a crate, whole or not at all, and return its files.

    Parameters
    ----------
    lineage : Lineage
        What it is about.
    name : str
        What that is called.
    folder : Path
        Must not exist, or be empty.
    options : CrateOptions
        What it holds.

    Raises
    ------
    UserError
        If the folder has something in it.
    DataError
        If a file that it shall hold is gone or has changed.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} exists and is not empty; give a new folder for the crate")
    waiting = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(waiting, ignore_errors=True)
    waiting.mkdir(parents=True)
    try:
        _fill(lineage, name, waiting, options)
        if folder.exists():
            folder.rmdir()
        waiting.rename(folder)
    finally:
        shutil.rmtree(waiting, ignore_errors=True)
    return tuple(sorted(path for path in folder.rglob("*") if path.is_file()))


def _fill(lineage: Lineage, name: str, folder: Path, options: CrateOptions) -> None:
    document = document_of(lineage)
    contents = CrateContents(
        products=_copy_products(lineage, folder) if options.products else {},
        sources=_copy_sources(lineage.sources, folder) if options.raws else {},
        notes=_copy_notes(lineage, document, folder),
    )
    (folder / FILE_NAME).write_bytes(encode(document))
    (folder / WORKFLOW).write_text(workflow_document(document), encoding="utf-8")
    date = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    (folder / README).write_text(readme(document, name, date), encoding="utf-8")
    told = json.dumps(metadata(document, contents, name, date), indent=1, ensure_ascii=False)
    (folder / METADATA).write_text(told + "\n", encoding="utf-8")
    written = manifest.write_manifest(folder)
    if options.key is not None:
        _sign(written, options.key)


def _copy_products(lineage: Lineage, folder: Path) -> dict[str, str]:
    return {
        hex_of(product.digest): _copy(product.path, product.digest, folder, f"products/{safe_name(product.path.name)}")
        for product in lineage.targets
    }


def _copy_sources(sources: tuple[Source, ...], folder: Path) -> dict[str, str]:
    return {
        hex_of(source.digest): _copy(
            Path(source.file), source.digest, folder, f"raws/{safe_name(source.name)}{_suffix(source.file)}"
        )
        for source in sources
    }


def _suffix(file: str) -> str:
    name = Path(file).name
    return next((end for end in (".fits.Z", ".fits.gz", ".fits.fz", ".fits") if name.endswith(end)), ".fits")


def _copy(source: Path, digest: str, folder: Path, name: str) -> str:
    """Copy a file into the crate, and return its name there.

    Raises
    ------
    DataError
        If it is gone, or its content is another than the one that was used.
    """
    from esorex_bridge.fits.verify import verify_fits

    target = folder / name
    target.parent.mkdir(exist_ok=True)
    try:
        shutil.copyfile(source, target)
    except OSError as error:
        raise DataError(f"{name} cannot be put into the crate: {source} {error.strerror or error}") from None
    if verify_fits(target, checksums=False).digest != digest:
        raise DataError(f"{source} is not the file that was used any more: its content has changed; fetch it again")
    return name


def _copy_notes(lineage: Lineage, document: ProvenanceDocument, folder: Path) -> dict[str, tuple[str, ...]]:
    copied: dict[str, tuple[str, ...]] = {}
    for number, (activity, step) in enumerate(zip(lineage.activities, document.steps, strict=True), 1):
        place = folder_of(number, step)
        (folder / place).mkdir(parents=True)
        (folder / place / "data.sof").write_text(_portable_sof(lineage, activity), encoding="utf-8")
        (folder / place / f"{step.recipe}.rc").write_text(_parameters(step), encoding="utf-8")
        log = Path(activity.sof).with_name("esorex.log")
        if log.is_file():
            shutil.copyfile(log, folder / place / "esorex.log")
        copied[step.key] = tuple(f"{place}/{path.name}" for path in sorted((folder / place).iterdir()))
    return copied


def _portable_sof(lineage: Lineage, activity: Activity) -> str:
    """Return the SOF with files by their names alone: `raws/` and `products/` are where a crate has them."""
    lines = []
    for entry in activity.inputs:
        if entry.source is not None and entry.key is None:
            lines.append(f"raws/{safe_name(entry.source.name)}{_suffix(entry.source.file)} {entry.category}")
            continue
        maker = lineage.activity(entry.key) if entry.key is not None else None
        made = [product for product in maker.products if product.category == entry.product] if maker else []
        lines += [f"products/{product.path.name} {entry.category}" for product in made]
    return "".join(f"{line}\n" for line in lines)


def _parameters(step: StepEntry) -> str:
    lines = []
    for value in step.parameters:
        if value.origin not in ("", "default"):
            lines.append(f"# {value.origin}:")
        lines.append(f'{value.name}="{value.value}"')
    return "".join(f"{line}\n" for line in lines)


def _sign(file: Path, key: Path) -> None:
    """Sign a file with a private key of SSH; asks for its passphrase where it has one.

    Raises
    ------
    UserError
        If ssh-keygen is not installed, or refuses.
    """
    words = ["ssh-keygen", "-Y", "sign", "-f", str(key), "-n", manifest.NAMESPACE, str(file)]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=_SIGN_SECONDS, check=False)
    except FileNotFoundError:
        raise UserError("ssh-keygen is not installed (Debian: apt-get install openssh-client)") from None
    if done.returncode != 0:
        raise UserError(f"ssh-keygen did not sign with {key}: {done.stderr.strip().splitlines()[-1:] or 'no reason'}")
