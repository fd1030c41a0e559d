"""`esorex-bridge doctor`: what is installed, what can be reached, and what to do about what is missing."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from esorex_bridge.cli import archive, options, output
from esorex_bridge.errors import BridgeError
from esorex_bridge.values import visible
from esorex_bridge.version import __version__

if TYPE_CHECKING:
    from esorex_bridge.cli.documents.checks import Check

EXAMPLE = "esorex-bridge doctor\n  esorex-bridge doctor --archive-probe --trace-http report"

_LITTLE_BYTES = 5 * 10**9
_PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
_CERTIFICATES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument(
        "--archive-probe",
        action="store_true",
        help="ask the archive about a dozen small questions, and say whether it behaves as this program assumes",
    )
    options.common(parser)


def run(args: argparse.Namespace) -> int:
    """Look, and print a line for each look."""
    if args.archive_probe:
        return _probe(args)
    checks = list(_checks(args))
    if args.json:
        from esorex_bridge.cli.documents.checks import DoctorDocument

        output.emit_json(DoctorDocument(checks=tuple(checks)))
    else:
        output.table(("what", "result", "details"), ((check.name, check.result, check.said) for check in checks))
    return 1 if any(check.result == "missing" for check in checks) else 0


def _probe(args: argparse.Namespace) -> int:
    from esorex_bridge.archive.probe import probe

    findings = []
    with archive.client(args) as client:
        for finding in probe(client):
            findings.append(finding)
            if not args.json:
                said = visible(finding.said.replace("\n", " "), 200)
                print(f"{finding.result:<13} {finding.name}: {said} ({finding.seconds:.1f} s)", flush=True)
    counts = Counter(finding.result for finding in findings)
    if args.json:
        from esorex_bridge.cli.documents.archive import ProbeDocument

        output.emit_json(ProbeDocument(findings=tuple(findings)))
    else:
        print(", ".join(f"{number} {result}" for result, number in counts.items()))
    if counts["different"]:
        again = "run again with --trace-http DIR, and send DIR"
        where = f"send the folder {args.trace_http}" if args.trace_http else again
        output.note(f"the archive behaves otherwise than this program assumes; please {where} with a report")
    return 1 if counts["different"] else 0


def _check(name: str, result: Literal["ok", "missing", "optional"], said: str) -> Check:
    from esorex_bridge.cli.documents.checks import Check

    return Check(name, result, said)


def _checks(args: argparse.Namespace) -> Iterator[Check]:
    yield _check("esorex-bridge", "ok", f"{__version__}, Python {platform.python_version()}")
    yield _esorex()
    yield _pipelines()
    yield from _swarp_of_visir()
    yield _archive(args)
    yield _network()
    yield _login(args)
    yield _settings(args)
    yield _disk(args.root)
    yield _browser()
    yield _slurm()


def _esorex() -> Check:
    found = shutil.which("esorex")
    if found is None:
        return _check("EsoRex", "missing", "not on the search path; on Debian: apt-get install esorex")
    said = _ask_command(found, "--version")
    version = next((word for word in said.replace("*", " ").split() if word[:1].isdigit()), "of unknown version")
    return _check("EsoRex", "ok", f"{version} ({found})")


def versions() -> tuple[str, ...]:
    """Return a line for EsoRex and one for each pipeline, with their versions; nothing for what is not installed."""
    esorex = _esorex()
    found = (f"EsoRex {esorex.said.partition(' ')[0]}",) if esorex.result == "ok" else ()
    return (*found, *(name.replace("/", " ") for name in sorted(_recipes_by_pipeline())))


def _recipes_by_pipeline() -> Counter[str]:
    """Return how many recipes each installed pipeline has."""
    from esorex_bridge.esorex.runner import PLUGIN_FOLDERS, find_plugins, pipeline_of

    own = filter(None, os.environ.get("ESOREX_PLUGIN_DIR", "").split(":"))
    return Counter(pipeline_of(plugin) for plugin in find_plugins((*own, *PLUGIN_FOLDERS)).values())


def _pipelines() -> Check:
    counts = _recipes_by_pipeline()
    if not counts:
        return _check("pipelines", "missing", "none found; on Debian: apt-get install cpl-plugin-naco and the like")
    listed = ", ".join(f"{name.replace('/', ' ')}" for name in sorted(counts))
    return _check("pipelines", "ok", f"{len(counts)} with {counts.total()} recipes: {listed}")


def _swarp_of_visir() -> Iterator[Check]:
    """Tell where VISIR's recipe for images would find no swarp: it looks at one place alone, where Debian has none."""
    for library in sorted(Path("/usr/lib").glob("*/visir-[0-9]*")):
        place = library / "bin" / "swarp"
        if not place.exists():
            how = f"mkdir -p {place.parent} && ln -s $(command -v SWarp) {place}"
            yield _check("swarp", "missing", f"visir_img_reduce looks for {place}; as root: {how}")


def _archive(args: argparse.Namespace) -> Check:
    try:
        with archive.client(args) as client:
            url = f"{client.services.tap}/capabilities"
            answer = client.connection.get(url, attempts=1)
    except BridgeError as error:
        return _check("archive", "missing", str(error))
    if answer.status != 200:
        return _check("archive", "missing", f"{url} answers HTTP {answer.status}")
    return _check("archive", "ok", f"{client.services.tap} answers")


def _network() -> Check:
    from esorex_bridge.archive.exchange import bare

    proxies = [f"{name}={bare(os.environ[name])}" for name in _PROXIES if os.environ.get(name)]
    bundles = [f"{name}={os.environ[name]}" for name in _CERTIFICATES if os.environ.get(name)]
    lost = [text for text in bundles if not Path(text.partition("=")[2]).exists()]
    if lost:
        return _check("proxy, certificates", "missing", f"no such file: {', '.join(lost)}")
    return _check("proxy, certificates", "ok", ", ".join((*proxies, *bundles)) or "none set")


def _login(args: argparse.Namespace) -> Check:
    from esorex_bridge.archive import saved_login

    found = saved_login.credentials(os.environ, keyring=not args.archive)
    if found is None:
        return _check("login", "optional", "none; public data need none ('esorex-bridge login' for proprietary data)")
    return _check("login", "ok", f"user {found.user}, password from {found.source} ('esorex-bridge whoami' tries it)")


def _settings(args: argparse.Namespace) -> Check:
    """Say which folders and which archive count, whatever named them."""
    from esorex_bridge.definitions.folders import definition_folders
    from esorex_bridge.disk.remembered import memory_folder
    from esorex_bridge.workspace.user_settings import settings_files

    files = ", ".join(map(str, settings_files(os.environ, args.root))) or "no settings.yaml"
    folders = ", ".join(map(str, definition_folders()[:-1]))
    said = f"root {args.root.absolute()}; archive {args.archive or 'ESO'}; workflow definitions {folders}; "
    return _check("settings", "ok", f"{said}cache {memory_folder('').absolute()}; {files}")


def _disk(root: Path) -> Check:
    absolute = root.absolute()
    place = next(path for path in (absolute, *absolute.parents) if path.is_dir())
    if not os.access(place, os.W_OK):
        return _check("disk", "missing", f"{place} cannot be written; choose another --root")
    free = shutil.disk_usage(place).free
    said = f"{free / 1e9:.1f} GB free at {place}"
    return _check("disk", "ok", said) if free >= _LITTLE_BYTES else _check("disk", "missing", f"only {said}")


def _browser() -> Check:
    import webbrowser

    try:
        name = getattr(webbrowser.get(), "name", "")
    except webbrowser.Error:
        return _check("browser", "optional", "none; pages can be opened on another machine")
    return _check("browser", "ok", str(name or "the system's own"))


def _slurm() -> Check:
    found = shutil.which("sbatch")
    if found is None:
        return _check("Slurm", "optional", "not here; 'batch' uses this machine")
    return _check("Slurm", "ok", _ask_command(found, "--version").strip() or found)


def _ask_command(command: str, option: str) -> str:
    import subprocess

    try:
        return subprocess.run([command, option], capture_output=True, text=True, timeout=20, errors="replace").stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
