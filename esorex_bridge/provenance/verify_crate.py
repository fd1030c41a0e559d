"""Whether a crate is what was exported: digests, completeness, signature."""

from __future__ import annotations

import subprocess
from pathlib import Path

from msgspec import Struct, ValidationError
from msgspec.json import Decoder

from esorex_bridge.errors import DataError, UserError
from esorex_bridge.provenance import manifest
from esorex_bridge.provenance.crate import METADATA, WORKFLOW
from esorex_bridge.provenance.document import FILE_NAME, ProvenanceDocument
from esorex_bridge.provenance.manifest import CrateFinding

_SSH_SECONDS = 60


class CrateReport(Struct, frozen=True):
    """What was found in a crate.

    Parameters
    ----------
    files : int
        Looked at.
    findings : tuple of CrateFinding
        What is wrong; empty where the crate is whole.
    signature : str
        `none`, `good`, `not checked` (signed, and nobody said by whom), or `bad`.
    signer : str
        Who signed, where the signature is good.
    """

    files: int
    findings: tuple[CrateFinding, ...]
    signature: str
    signer: str = ""

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


def verify_crate(folder: Path, signers: Path | None = None) -> CrateReport:
    """Return what was found in a crate.

    Parameters
    ----------
    folder : Path
        The crate.
    signers : Path or None
        A file of allowed signers, as `ssh-keygen -Y verify` takes it.

    Raises
    ------
    DataError
        If the folder is no crate.
    """
    findings = [*manifest.check_manifest(folder), *_incomplete(folder)]
    signature, signer = _signature(folder, signers)
    if signature == "bad":
        findings.append(CrateFinding(manifest.SIGNATURE, "does not sign this manifest"))
    if signers is not None and signature == "none":
        findings.append(CrateFinding(manifest.SIGNATURE, "is missing, and a signature was asked for"))
    files = sum(path.is_file() for path in folder.rglob("*"))
    return CrateReport(files, tuple(dict.fromkeys(findings)), signature, signer)


def read_document(folder: Path) -> ProvenanceDocument:
    """Return the provenance document of a crate, or of a folder of end products.

    Raises
    ------
    DataError
        If there is none, or it cannot be read.
    """
    path = folder / FILE_NAME if folder.is_dir() else folder
    try:
        return Decoder(ProvenanceDocument).decode(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; give a crate, or the provenance.json of a product") from None
    except (ValidationError, ValueError) as error:
        raise DataError(f"{path} is not a provenance document of this version: {error}") from None


def _incomplete(folder: Path) -> list[CrateFinding]:
    missing = [name for name in (METADATA, WORKFLOW, FILE_NAME) if not (folder / name).is_file()]
    if missing:
        return [CrateFinding(name, "is missing") for name in missing]
    try:
        document = read_document(folder)
    except DataError as error:
        return [CrateFinding(FILE_NAME, f"cannot be read: {error}")]
    return [CrateFinding(FILE_NAME, f"step {key[:12]} is not described") for key in document.lost]


def _signature(folder: Path, signers: Path | None) -> tuple[str, str]:
    """Return the state of the signature, and who signed."""
    signature, file = folder / manifest.SIGNATURE, folder / manifest.NAME
    if not signature.is_file():
        return "none", ""
    if signers is None:
        words = ["ssh-keygen", "-Y", "check-novalidate", "-n", manifest.NAMESPACE, "-s", str(signature)]
        return ("not checked" if _ssh(words, file).returncode == 0 else "bad"), ""
    found = _ssh(["ssh-keygen", "-Y", "find-principals", "-s", str(signature), "-f", str(signers)], None)
    for who in found.stdout.split():
        words = ["ssh-keygen", "-Y", "verify", "-f", str(signers), "-I", who, "-n", manifest.NAMESPACE]
        if _ssh([*words, "-s", str(signature)], file).returncode == 0:
            return "good", who
    return "bad", ""


def _ssh(words: list[str], file: Path | None) -> subprocess.CompletedProcess[str]:
    try:
        text = file.read_bytes().decode("utf-8", "surrogateescape") if file is not None else ""
        return subprocess.run(
            words,
            input=text,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=_SSH_SECONDS,
            check=False,
        )
    except FileNotFoundError:
        raise UserError("ssh-keygen is not installed (Debian: apt-get install openssh-client)") from None
