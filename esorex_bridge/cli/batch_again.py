"""`esorex-bridge batch resume` and `retry`: going on with a batch that was begun."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from esorex_bridge.cli import batch, options

if TYPE_CHECKING:
    from esorex_bridge.batch.start import BatchRequest
    from esorex_bridge.executors.batch_folder import BatchFolder

EXAMPLE = "esorex-bridge {verb} --root survey\n  esorex-bridge {verb} nightly --root survey --json"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments; all else is as it was asked for when the batch began."""
    parser.add_argument("batch", nargs="?", default="", metavar="NAME", help="of the batch (default: the latest)")
    parser.add_argument("--name", default="", help=argparse.SUPPRESS)
    parser.add_argument("--failed", action="store_true", help=argparse.SUPPRESS)  # what retry does in any case
    batch.add_processors(parser)
    parser.add_argument("--keep-going", action="store_true", help="after a failure, make what does not need it")
    parser.add_argument("--detach", action="store_true", help="leave when all is handed in (with Slurm)")
    options.room_rule(parser)
    options.reuse(parser.add_argument_group("reuse"))
    options.common(parser)


def run(args: argparse.Namespace) -> int:
    """Go on with a batch: with what is not made yet, and at `retry` with what failed too."""
    from esorex_bridge.batch.start import find_batch

    retry = args.verb.endswith(" retry")
    folder = find_batch(args.root, args.batch or args.name)
    return batch.carry_on(args, folder, _merge_request(args, folder, retry), retry)


def _merge_request(args: argparse.Namespace, folder: BatchFolder, retry: bool) -> BatchRequest:
    """Return what a batch was asked to do, with what the command line adds."""
    from msgspec.structs import replace

    from esorex_bridge.batch.start import read_request
    from esorex_bridge.cli import arguments
    from esorex_bridge.reuse.decide import Policy

    asked = read_request(folder.about(), args.root.absolute())
    going = asked.keep_going or args.keep_going or retry
    given = arguments.policy(args)
    policy = given if given != Policy() else asked.settings.policy
    settings = replace(asked.settings, policy=policy, room=args.room or asked.settings.room)
    return replace(asked, settings=settings, processors=args.jobs, keep_going=going, detach=args.detach)
