"""`esorex-bridge whoami`: who the archive takes the user for."""

from __future__ import annotations

import argparse
import os
from datetime import UTC, datetime

from esorex_bridge.cli import archive, options, output

EXAMPLE = "esorex-bridge whoami"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    options.common(parser)


def run(args: argparse.Namespace) -> int:
    """Log in with what is there, and say as whom; nobody is exit code 1."""
    from esorex_bridge.archive import saved_login
    from esorex_bridge.cli.documents.archive import WhoDocument

    found = saved_login.credentials(os.environ, keyring=not args.archive)
    if found is None:
        if args.json:
            output.emit_json(WhoDocument(user=None, source=None, token_ends=None))
        else:
            print("nobody: the archive is asked anonymously; 'esorex-bridge login' changes that")
        return 1
    with archive.client(args) as client:
        user, ends = client.whoami()
    time = f"{datetime.fromtimestamp(ends, UTC):%Y-%m-%dT%H:%M:%SZ}"
    if args.json:
        output.emit_json(WhoDocument(user=user, source=found.source, token_ends=time))
    else:
        print(f"{user} (password from {found.source}); a token of now is good until {time}")
    return 0
