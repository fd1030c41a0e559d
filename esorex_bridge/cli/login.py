"""`esorex-bridge login`: user and password checked with ESO, and kept in the keyring."""

from __future__ import annotations

import argparse
import os
import sys

from esorex_bridge.cli import options, output
from esorex_bridge.errors import UserError

EXAMPLE = "esorex-bridge login"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments; a password is never one of them."""
    parser.add_argument("--user", metavar="NAME", help="name at the ESO User Portal (default: asked for)")
    parser.add_argument("--no-keyring", action="store_true", help="check only, and keep nothing")
    options.common(parser)


def run(args: argparse.Namespace) -> int:
    """Ask for what is missing, check it, keep it."""
    from esorex_bridge.archive import saved_login
    from esorex_bridge.archive.auth import PASSWORD_VARIABLE, USER_VARIABLE, Credentials, store_password
    from esorex_bridge.archive.opening import open_client

    user = args.user or os.environ.get(USER_VARIABLE) or _ask("ESO user: ")
    from_environment = os.environ.get(PASSWORD_VARIABLE) if user == os.environ.get(USER_VARIABLE) else None
    password = from_environment or _asked_secretly(user)
    found = Credentials(user, password, "environment" if from_environment else "prompt")
    with open_client(args.archive, os.environ, found, trace=args.trace_http) as client:
        client.whoami()
    keep = not args.no_keyring and not from_environment and not args.archive
    if keep:
        store_password(found)
        saved_login.remember_user(os.environ, user)
    where = "kept in the keyring, for astroquery too" if keep else "not kept"
    if args.json:
        from esorex_bridge.cli.documents.archive import LoginDocument

        output.emit_json(LoginDocument(user=user, kept=keep))
    else:
        print(f"ESO accepts user '{user}'; the password is {where}")
    return 0


def _ask(question: str) -> str:
    if not sys.stdin.isatty():
        raise UserError("cannot prompt: not a terminal; set ESO_USERNAME and ESO_PASSWORD")
    print(question, end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline().strip()
    if not answer:
        raise UserError("no user was given")
    return answer


def _asked_secretly(user: str) -> str:
    if not sys.stdin.isatty():
        raise UserError("cannot prompt for the password: not a terminal; set ESO_USERNAME and ESO_PASSWORD")
    from getpass import getpass

    password = getpass(f"password of '{user}': ", stream=sys.stderr)
    if not password:
        raise UserError("no password was given")
    return password
