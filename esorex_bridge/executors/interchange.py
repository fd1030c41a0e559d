"""Parsl's interchange, which passes steps on to pilots, as a process that ends with the bridge.

By itself it lives on when the bridge is killed, and keeps the pilots waiting for steps that nobody will send.
"""

from __future__ import annotations

import runpy

from esorex_bridge.esorex.supervise import die_with_parent

MODULE = "esorex_bridge.executors.interchange"


def main() -> None:
    """Become the interchange."""
    die_with_parent()
    runpy.run_module("parsl.executors.high_throughput.interchange", run_name="__main__")


if __name__ == "__main__":
    main()
