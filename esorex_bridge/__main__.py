"""`python -m esorex_bridge` is `esorex-bridge`."""

from __future__ import annotations

import sys

from esorex_bridge.cli import main

if __name__ == "__main__":
    sys.exit(main())
