"""What a segment is: its rule read and checked, the segments that it refers to, and the order that follows."""

import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.module_loading import import_string
from django.utils.text import slugify

from cdp.access.rights import EVERYTHING, Rights
from cdp.core.clock import now_us
from cdp.core.errors import Conflict, Invalid, NotFound
from cdp.lake.measures import MEASURES
from cdp.lake.rules.facts import Facts, facts, leaves
from cdp.lake.rules.parse import parse
from cdp.lake.rules.tree import Happened, Rule
from cdp.lake.rules.words import in_words
from cdp.segments.catalogue import catalogue
from cdp.segments.heads import head
from cdp.segments.history import delete_with_rows
from cdp.segments.models import Audience, Segment
from cdp.segments.rule_rights import require_sight
from cdp.segments.types import TYPES, segment_type
from cdp.traits.expressions import calculated_kinds

_KEY = re.compile(r"[a-z0-9][a-z0-9_-]{0,99}")


def segment_of(named: str) -> Segment:
    """The segment with this id or key. Raises NotFound."""
    try:
        found = Segment.objects.filter(public_id=uuid.UUID(named)).first()
    except ValueError:
        found = None
    found = found or Segment.objects.filter(key=named).first()
    if found is None:
        raise NotFound("There is no segment with this id or key.")
    return found


def define(segment: Segment, fields: Mapping[str, Any], *, rights: Rights = EVERYTHING) -> Segment:
    """Set `fields` (name, key, description, type, rules) of a new or known segment and save it.

    A new rule makes the segment due. Raises what `prepare` does, and Conflict when the key is taken.
    """
    new = segment.pk is None
    prepare(segment, fields, rights=rights)
    if new and segment.listed:
        at = head()
        segment.computed_version, segment.computed_at = segment.definition_version, segment.created_at
        segment.swept_at = segment.created_at
        segment.cursor, segment.event_cursor = at.fence, at.event
    _save(segment, new=new)
    _wake()
    return segment


def prepare(segment: Segment, fields: Mapping[str, Any], *, rights: Rights = EVERYTHING) -> None:
    """Set `fields` without saving. Raises Invalid with the path of the field.

    For a rule that cannot be used it is `invalid_rule`, with the path in the rule's JSON and what would be right. A new
    rule may only ask about what the holder of `rights` sees: Forbidden.
    """
    now = now_us()
    new = segment.pk is None
    before = (segment.type, segment.rules)
    for name in ("name", "description"):
        if name in fields:
            setattr(segment, name, fields[name])
    if not segment.name.strip():
        raise Invalid("Give the segment a name.", details={"path": "name"})
    if "type" in fields:
        _set_type(segment, fields["type"], new=new)
    if new:
        segment.key = new_key(Segment, fields.get("key"), segment.name)
        segment.created_at = now
    elif fields.get("key", segment.key) != segment.key:
        raise Invalid("A segment keeps its key: rules and destinations name it.", details={"path": "key"})
    _set_rule(segment, fields.get("rules", segment.rules), rights)
    if not new and (segment.type, segment.rules) != before:
        segment.definition_version += 1
    segment.updated_at = now


def users_of(segment: Segment) -> list[str]:
    """The segments and audiences that use a segment, in words."""
    users = [f"the segment {other.name!r}" for other in Segment.objects.all() if segment.key in other.refers_to]
    audiences = {audience.name: audience for audience in (*segment.audiences.all(), *segment.suppressing.all())}
    return users + [f"the audience {name!r}" for name in audiences]


def delete_segment(segment: Segment, *, actor: str | None = None) -> None:
    """Delete a segment with its members and its history. Raises Conflict while a segment or an audience uses it.

    Recorded in the audit as done by `actor`; without one the caller records it.
    """
    users = users_of(segment)
    if users:
        sentence = f"Used by {', '.join(users[:5])}. Change that first."
        raise Conflict(sentence, code="segment_in_use", details={"users": users})
    delete_with_rows(segment, actor=actor)


def ask_for_sweep(segment: Segment) -> Segment:
    """Have everybody looked at for this segment within seconds, also when it failed."""
    Segment.objects.filter(pk=segment.pk).update(swept_at=0, error="", error_at=None)
    segment.refresh_from_db()
    _wake()
    return segment


def ask_for_sweeps() -> None:
    """Have everybody looked at within seconds for every segment with a rule: events went of which nobody was told."""
    Segment.objects.filter(rules__isnull=False).update(swept_at=0)
    _wake()


def in_order(segments: Iterable[Segment]) -> list[list[Segment]]:
    """`segments` in levels: each refers only to those of the levels before it, or to others that are not given."""
    left = {segment.key: segment for segment in segments}
    levels: list[list[Segment]] = []
    while left:
        level = [segment for segment in left.values() if not left.keys() & set(segment.refers_to) - {segment.key}]
        if not level:
            raise Invalid(f"These segments refer to each other in a circle: {', '.join(sorted(left))}.")
        levels.append(level)
        for segment in level:
            del left[segment.key]
    return levels


def _wake() -> None:
    """Tell the worker, when this is committed, that there is something to compute."""
    if settings.SEGMENTS_WAKE:
        transaction.on_commit(import_string(settings.SEGMENTS_WAKE))


def _set_type(segment: Segment, given: object, *, new: bool) -> None:
    kind = segment_type(given) if isinstance(given, str) else None
    if kind is None:
        names = ", ".join(TYPES)
        raise Invalid(f"{str(given)[:40]!r} is no type of segment. Use one of: {names}.", details={"path": "type"})
    if not new and TYPES[kind] != TYPES[segment.type]:
        raise Invalid("A list cannot become a rule, nor a rule a list. Make a new segment.", details={"path": "type"})
    segment.type = kind


def _set_rule(segment: Segment, rule: Any, rights: Rights) -> None:
    if segment.listed:
        if rule:
            raise Invalid("A segment of this type has a list of members and no rule.", details={"path": "rules"})
        segment.rules, segment.words = None, "People who were put on its list."
        return
    if rule is None:
        raise Invalid("Give the segment a rule: `rules`, or `conditions`.", details={"path": "rules"})
    rule = {"operator": "AND", "conditions": rule} if isinstance(rule, list) else rule
    tree = parse(rule, catalogue(own=segment.key))
    if rule != segment.rules:
        require_sight(tree, rights)
    known = facts(tree)
    segment.rules, segment.words = rule, in_words(tree)
    segment.refers_to = sorted(known.segments)
    segment.windowed = known.windowed or _is_defined_elsewhere(tree, known)
    segment.relative = any(not MEASURES[name].local for name in known.measures)


def _is_defined_elsewhere(rule: Rule, known: Facts) -> bool:
    """Whether it names calculated fields or computed traits, whose own definitions and windows it does not know."""
    named = any(isinstance(leaf, Happened) and leaf.name is not None for leaf in leaves(rule))
    return named or bool(known.traits & calculated_kinds().keys())


def new_key(model: type[Segment] | type[Audience], given: object, name: str) -> str:
    """The key that was given, or a free one made of `name`. Raises Invalid for one that is no key."""
    if given is not None:
        if not isinstance(given, str) or not _KEY.fullmatch(given):
            raise Invalid("A key has small letters, digits, - and _, up to 100 of them.", details={"path": "key"})
        return given
    base = slugify(name)[:90] or model.__name__.lower()
    taken = set(model.objects.filter(key__startswith=base).values_list("key", flat=True))
    numbers = (f"{base}-{number}" for number in range(2, len(taken) + 3))
    return base if base not in taken else next(key for key in numbers if key not in taken)


def _save(segment: Segment, *, new: bool) -> None:
    """Only what a person says: the rest belongs to the holder of the lease."""
    try:
        with transaction.atomic():
            if new:
                segment.save(force_insert=True)
            else:
                segment.save(update_fields=_SAID)
    except IntegrityError:
        raise Conflict("A segment with this key exists.", code="key_taken", details={"path": "key"}) from None


_SAID: Sequence[str] = (
    "name", "description", "type", "rules", "words", "refers_to", "windowed", "relative", "definition_version",
    "updated_at",
)  # fmt: skip
