"""Why the profiles of a person are one person: every merge as a sentence (P5)."""

from collections.abc import Sequence

import msgspec
from django.db.models import Q

from cdp.access.admin_pages import moment
from cdp.customer360.event_view import event_id
from cdp.customer360.masking import Clear, shown_identifier
from cdp.identities.models import Identifier
from cdp.identities.value import open_identifier
from cdp.profiles.models import Merge


class MergeStory(msgspec.Struct, frozen=True):
    """One merge. `event` is the id of the event that caused it; `undone` is empty while it holds."""

    merge_id: int
    public_id: str
    when: str
    undone: str
    active: bool
    sentence: str
    strategy: str
    event: str | None
    actor: str
    target: str
    source: str


_CAUSES = {
    Merge.Cause.ALIAS: "An alias call said that they are one person",
    Merge.Cause.API: "They were merged by hand or through the API",
}


def merges_of(fragments: Sequence[int], *, clear: Clear) -> list[MergeStory]:
    """Every merge, undone ones too, that touches the profiles `fragments`, newest first: two queries."""
    rows = list(
        Merge.objects.filter(Q(target_id__in=fragments) | Q(source_id__in=fragments))
        .select_related("target", "source")
        .order_by("-id")
    )
    vias = {bytes(via) for row in rows for via in (row.via_target, row.via_source) if via is not None}
    texts = {
        bytes(row.digest): _text(row, clear=clear)
        for row in Identifier.objects.filter(digest__in=vias).select_related("type").order_by("linking")
    }
    return [
        MergeStory(
            merge_id=row.pk,
            public_id=str(row.public_id),
            when=moment(row.created_at),
            undone="" if row.undone_at is None else moment(row.undone_at),
            active=row.active,
            sentence=_sentence(row, texts),
            strategy=row.get_strategy_display(),
            event=None if row.event is None else event_id(row.event),
            actor=row.actor,
            target=str(row.target.public_id),
            source=str(row.source.public_id),
        )
        for row in rows
    ]


def _sentence(row: Merge, texts: dict[bytes, str]) -> str:
    if row.cause in _CAUSES:
        return f"{_CAUSES[Merge.Cause(row.cause)]}."
    sides = [texts.get(bytes(via), "an identifier that is gone") for via in (row.via_target, row.via_source) if via]
    if len(sides) == 2:
        return f"One event carried {sides[0]} of the one and {sides[1]} of the other."
    return f"One event carried {sides[0]} of both." if sides else "One event carried identifiers of both."


def _text(row: Identifier, *, clear: Clear) -> str:
    value = shown_identifier(row.type.code, open_identifier(row.body).value, personal=row.type.personal, clear=clear)
    name = row.type.code.replace("_", " ") + (f" {row.namespace}" if row.namespace else "")
    return f"the {name} “{value}”"
