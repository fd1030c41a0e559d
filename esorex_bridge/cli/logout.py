"""`esorex-bridge logout`: the password out of the keyring."""

from __future__ import annotations

import argparse
import os

from esorex_bridge.cli import options, output
from esorex_bridge.errors import UserError

EXAMPLE = "esorex-bridge logout"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("--user", metavar="NAME", help="whose password (default: of the last login)")
    options.common(parser)


def run(args: argparse.Namespace) -> int:
    """Remove the password, and forget the user."""
    from esorex_bridge.archive import saved_login
    from esorex_bridge.archive.auth import forget_password

    user = args.user or saved_login.remembered_user(os.environ)
    if user is None:
        raise UserError("nobody is logged in; name a --user to remove a password that another tool kept")
    removed = forget_password(user)
    if user == saved_login.remembered_user(os.environ):
        saved_login.forget_user(os.environ)
    if args.json:
        from esorex_bridge.cli.documents.archive import LogoutDocument

        output.emit_json(LogoutDocument(user=user, removed=removed))
    else:
        print(f"'{user}' is logged out" + ("" if removed else "; the keyring had no password"))
    return 0
