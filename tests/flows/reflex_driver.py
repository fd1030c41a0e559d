"""A driver that treats actors as ESO Reflex does: help page → ports, JSON files, a rebuilt environment, exit status."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SYSTEM_PYTHON = "/usr/bin/python3"


@dataclass(frozen=True)
class Ports:
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Ended:
    status: int
    outputs: dict[str, Any]
    stdout: str
    stderr: str


_PORTS: dict[bytes, Ports] = {}
"""The ports of scripts by their content: Reflex too asks for them when an actor is put down, not when it fires."""


class ReflexDriver:
    """Runs scripts with Reflex's environment: nothing of ours gets through but HOME."""

    def __init__(self, scripts: Path, scratch: Path, home: Path, python: str = SYSTEM_PYTHON) -> None:
        self.scripts, self.scratch, self.home, self.python = scripts, scratch, home, python
        self.variables = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(home),
            "PYTHONPATH": str(scratch / "eso_python"),
            "LANG": "C",
            "SHLVL": "1",
        }
        self._runs = 0

    def command(self, script: str, *words: str) -> list[str]:
        pairs = [f"{name}={value}" for name, value in self.variables.items()]
        return ["env", "-i", *pairs, self.python, str(self.scripts / script), *words]

    def start(self, script: str, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(script, *words), capture_output=True, text=True, check=False, cwd=self.scratch, timeout=120
        )

    def ports(self, script: str) -> Ports:
        done = self.start(script, "--help")
        assert done.returncode == 0, done.stderr
        options, _, outputs = done.stdout.partition("\noutputs:\n")
        reserved = {
            "help",
            "input-parameters-file",
            "output-parameters-file",
            "products-dir",
            "stdout-file",
            "stderr-file",
        }
        return Ports(tuple(name for name in _names(options) if name not in reserved), tuple(_names(outputs)))

    def run(self, script: str, inputs: dict[str, Any], *words: str) -> Ended:
        self._runs += 1
        folder = self.scratch / f"run_{self._runs:03d}_{Path(script).stem}"
        (folder / "products").mkdir(parents=True)
        given, made = folder / "in.json", folder / "out.json"
        given.write_text(json.dumps(inputs))
        done = self.start(
            script,
            "--input-parameters-file",
            str(given),
            "--output-parameters-file",
            str(made),
            "--products-dir",
            str(folder / "products"),
            *words,
        )
        assert [path.name for path in folder.iterdir() if "part" in path.name] == []
        return Ended(done.returncode, json.loads(made.read_text()) if made.exists() else {}, done.stdout, done.stderr)

    def ok(self, script: str, **inputs: Any) -> dict[str, Any]:
        """Run an actor that must succeed; check its outputs as Reflex does."""
        content = (self.scripts / script).read_bytes()
        if content not in _PORTS:
            _PORTS[content] = self.ports(script)
        known = _PORTS[content]
        assert set(inputs) <= set(known.inputs)
        ended = self.run(script, inputs)
        assert ended.status == 0, ended.stderr
        assert set(ended.outputs) <= set(known.outputs)
        for value in ended.outputs.values():
            for file in value.get("files", ()) if isinstance(value, dict) else ():
                assert Path(file["name"]).is_absolute()
                assert Path(file["name"]).exists()
        return ended.outputs


def _names(text: str) -> list[str]:
    return re.findall(r"^ +(?:-\w(?: \w+)?, )?--([\w-]+)(?:=|$|\s)", text, re.MULTILINE)
