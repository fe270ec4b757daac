"""Check the signature of a receipt of erasure, and scan every store again."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser, OutputWrapper

from cdp.core.errors import Conflict
from cdp.privacy.commands.erase import Bars
from cdp.privacy.proof import verify_receipt
from cdp.privacy.receipt import read_receipt


def arguments(parser: CommandParser) -> None:
    """Which receipt."""
    parser.add_argument("receipt", metavar="RECEIPT", help="the file of the receipt")
    parser.add_argument(
        "--deep",
        action="store_true",
        help="also open what belongs to other people, and count where they mention this person (takes long)",
    )


def run(options: dict[str, Any], stdout: OutputWrapper) -> None:
    """Exit status 1 when the receipt is forged, or not true any more."""
    receipt = read_receipt(Path(options["receipt"]))
    with Bars() as step:
        verdict = verify_receipt(receipt, deep=options["deep"], progress=step)
    stores = len(verdict.scanned)
    if verdict.holds:
        stdout.write(f"The signature verifies, and nothing was found in {stores} stores.")
        if options["deep"]:
            stdout.write(f"{verdict.mentions} rows of other people mention an identifier of theirs, and stay.")
        return
    said = [f"{count} in {store}" for store, count in verdict.found.items()]
    if verdict.returned > 0:
        said.append(f"{verdict.returned} more people have an identifier of theirs than when it was signed")
    if verdict.problem:
        said.append(verdict.problem)
    raise Conflict(f"The signature verifies, but the receipt does not hold any more: {'; '.join(said)}.")
