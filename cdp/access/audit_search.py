"""Asking the audit: by actor, object, action and time, newest first; for REST, the admin and the command alike."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Self

import msgspec
from django.db.models import Q

from cdp.access.models import ApiKey, AuditEntry, AuditQuerySet, User
from cdp.core.clock import DAY, iso, parse_time
from cdp.core.errors import Invalid

_KINDS = ("user:", "key:", "shell:")
_CHUNK = 2000


class AuditView(msgspec.Struct, frozen=True, rename="camel"):
    """One entry. `fields` are names; `address` is shortened; `place` is that in the chain, null for a few seconds."""

    id: str
    at: str
    actor: str
    action: str
    object_type: str
    object_ids: list[str]
    fields: list[str]
    request_id: str
    address: str
    why: str
    place: int | None

    @classmethod
    def of(cls, row: AuditEntry) -> Self:
        """The view of a row."""
        return cls(
            str(row.public_id), iso(row.at), row.actor, row.action, row.object_type, row.object_ids, row.fields,
            row.request_id, row.address, row.why, row.place,
        )  # fmt: skip


class AuditFilter(msgspec.Struct, frozen=True):
    """What entries must have; blank means any. `since` and `until` are microseconds, both inclusive."""

    actor: str = ""
    action: str = ""
    object_type: str = ""
    object_id: str = ""
    request_id: str = ""
    since: int | None = None
    until: int | None = None

    @classmethod
    def of(cls, params: Mapping[str, str]) -> Self:
        """From query parameters: actor, action, objectType, objectId, requestId, startDate, endDate. Raises Invalid."""
        return cls(
            actor=params.get("actor", "").strip(),
            action=params.get("action", "").strip(),
            object_type=params.get("objectType", "").strip(),
            object_id=params.get("objectId", "").strip(),
            request_id=params.get("requestId", "").strip(),
            since=moment_of(params.get("startDate", ""), "startDate"),
            until=moment_of(params.get("endDate", ""), "endDate", end=True),
        )

    def rows(self) -> AuditQuerySet:
        """The entries, newest first."""
        rows = AuditEntry.objects.all()
        if self.actor:
            rows = rows.filter(actor__in=actors_called(self.actor))
        if self.object_id:
            rows = rows.about(self.object_id)
        exact = {
            "action": self.action or None,
            "object_type": self.object_type or None,
            "request_id": self.request_id or None,
            "at__gte": self.since,
            "at__lte": self.until,
        }
        return rows.filter(**{name: value for name, value in exact.items() if value is not None})

    def described(self) -> str:
        """The filters that are set, for the entry of an export."""
        said = {name: getattr(self, name) for name in self.__struct_fields__}
        times = {name: iso(value) for name, value in said.items() if name in ("since", "until") and value is not None}
        return " ".join(f"{name}={value}" for name, value in {**said, **times}.items() if value)


def moment_of(text: str, path: str, *, end: bool = False) -> int | None:
    """Microseconds of a time; a date alone is its first moment, with `end` its last. Raises Invalid naming `path`."""
    text = text.strip()
    if not text:
        return None
    us = parse_time(text)
    if us is None:
        raise Invalid(f"`{path}` must be a date or a time in ISO 8601.", details={"path": path})
    return us + DAY - 1 if end and len(text) == 10 else us


def actors_called(name: str) -> list[str]:
    """The actors that `name` may mean: an actor as it is written, a user name, or the name of an API key."""
    if name.startswith(_KINDS):
        return [name]
    users = [f"user:{pk}" for pk in User.objects.filter(username=name).values_list("pk", flat=True)]
    keys = [f"key:{pk}" for pk in ApiKey.objects.filter(name=name).values_list("pk", flat=True)]
    return [*users, *keys, f"shell:{name}"]


def actor_names(actors: Iterable[str]) -> dict[str, str]:
    """The user name or the name of the key for each actor that has one: two queries."""
    numbers: dict[str, list[int]] = {"user": [], "key": []}
    for actor in set(actors):
        kind, _, number = actor.partition(":")
        if kind in numbers and number.isdecimal():
            numbers[kind].append(int(number))
    users = User.objects.filter(pk__in=numbers["user"]).values_list("pk", "username")
    keys = ApiKey.objects.filter(pk__in=numbers["key"]).values_list("pk", "name")
    return {**{f"user:{pk}": name for pk, name in users}, **{f"key:{pk}": name for pk, name in keys}}


def cursor_of(row: AuditEntry) -> str:
    """Where a list goes on behind `row`."""
    return f"{row.at}.{row.pk}"


def behind(rows: AuditQuerySet, cursor: str) -> AuditQuerySet:
    """The entries behind a cursor; all for a blank one. Raises Invalid."""
    if not cursor:
        return rows
    at, _, number = cursor.partition(".")
    if not (at.isdecimal() and number.isdecimal() and at.isascii() and number.isascii() and len(cursor) < 38):
        raise Invalid("This is no cursor of the audit: use `next` of the page before.", code="invalid_cursor")
    return rows.filter(Q(at__lt=int(at)) | Q(at=int(at), pk__lt=int(number)))


def each_entry(rows: AuditQuerySet) -> Iterator[AuditEntry]:
    """All of `rows`, newest first, 2,000 in memory at a time, each page one query by the index of times."""
    cursor = ""
    while page := list(behind(rows, cursor)[:_CHUNK]):
        yield from page
        cursor = cursor_of(page[-1])
