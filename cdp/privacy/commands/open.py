"""Open a request of somebody about their data, by any identifiers of theirs."""

import json
from typing import Any

from django.core.management.base import CommandParser, OutputWrapper

from cdp.access.audit import shell_actor
from cdp.core.clock import iso
from cdp.core.errors import Invalid
from cdp.privacy.models import PrivacyRequest
from cdp.privacy.requests import open_request


def arguments(parser: CommandParser) -> None:
    """What, about whom."""
    parser.add_argument("type", choices=PrivacyRequest.Kind.values)
    parser.add_argument(
        "identifier", nargs="+", help="TYPE=VALUE, such as email=ada@example.com; several must mean one person"
    )
    parser.add_argument("--regulation", choices=PrivacyRequest.Regulation.values, default="gdpr")
    parser.add_argument("--contact", default="", help="how to reach whoever asks")
    parser.add_argument("--changes", default="", help='JSON: {"traits": {…}, "identifiers": {…}} or {"purposes": […]}')


def run(options: dict[str, Any], stdout: OutputWrapper) -> None:
    """Open it, or name the one that is open already."""
    identifiers = {}
    for text in options["identifier"]:
        name, separator, value = text.partition("=")
        if not separator:
            raise Invalid("Write an identifier as TYPE=VALUE, such as email=ada@example.com.")
        identifiers[name] = value
    try:
        changes = json.loads(options["changes"]) if options["changes"] else None
    except ValueError:
        raise Invalid("--changes must be JSON.") from None
    made = open_request(
        options["type"],
        identifiers,
        regulation=options["regulation"],
        channel="command",
        actor=shell_actor(),
        contact=options["contact"],
        changes=changes,
    )
    said = "The same is open already" if made.duplicate else "Opened"
    stdout.write(f"{said}: {made.public_id}, to be answered by {iso(made.due_at)[:10]}.")
