"""Keeping erased people out where somebody waits for the answer: the API, replays and imports (IDENTITY.md rule 14).

What comes through the door is looked at when it is processed (`cdp.pipeline.opening`).
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec
from django.conf import settings

from cdp.access.source import SourceRef
from cdp.core.bulk import Database
from cdp.identities.models import SuppressedIdentifier
from cdp.identities.rules import Kind, Rules, load_rules
from cdp.identities.suppression import KINDS, Suppressed, digest_of_value, suppressed
from cdp.pipeline.message import Envelope
from cdp.pipeline.reading import UNREADABLE, Reader

_OF_A_TRAIT = ("email", "phone")


def require_not_suppressed(db: Database, rules: Rules, values: Iterable[tuple[Kind, str, str]]) -> None:
    """Raise Suppressed when one of `values` (type, namespace, value) is an erased person's: one query."""
    digests = [digest_of_value(rules, kind, space, text) for kind, space, text in values if kind.code in KINDS]
    if suppressed(db, digests):
        raise Suppressed


def require_traits_not_suppressed(db: Database, traits: Mapping[str, object]) -> None:
    """Raise Suppressed when a trait that is an identifier, too, is an erased person's: two queries."""
    given = {key: value for key in _OF_A_TRAIT if isinstance(value := traits.get(key), str)}
    if given:
        rules = load_rules(db, region=settings.DEFAULT_PHONE_REGION)
        require_not_suppressed(db, rules, [(rules.kinds[key], "", value) for key, value in given.items()])


def erased_among(db: Database, messages: Sequence[tuple[bytes, Envelope, SourceRef]], *, now: int) -> list[bool]:
    """Of each message (its JSON, what its request said, its source) whether it carries an erased person's identifier.

    At most three queries; one where nobody was ever erased.
    """
    if not messages or not SuppressedIdentifier.objects.filter(lifted_at=None).exists():
        return [False] * len(messages)
    reader = Reader(load_rules(db, region=settings.DEFAULT_PHONE_REGION), settings.KEYRING)
    carried: list[list[bytes]] = []
    for raw, envelope, source in messages:
        said = msgspec.structs.replace(envelope, message=msgspec.Raw(raw))
        try:
            reading = reader.read(said, digest=b"", source=source, received=now)
        except UNREADABLE:
            carried.append([])  # whoever takes it in will say why it cannot be used
            continue
        carried.append(reader.suppressible(reading.candidates))
    hit = suppressed(db, {digest for digests in carried for digest in digests})
    return [not hit.isdisjoint(digests) for digests in carried]
