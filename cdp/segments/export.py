"""Members as a stream of CSV or JSON: any number of people in constant memory."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from cdp.access.rights import NOTHING, Rights, masked
from cdp.core.clock import iso
from cdp.core.errors import Invalid
from cdp.identities.lookup import IdentifierView, identifiers_of_people
from cdp.segments.members import Member
from cdp.traits.catalogue import classification_of

FORMATS = {"csv": "text/csv; charset=utf-8", "json": "application/json", "jsonl": "application/x-ndjson"}
PLAIN = ("id", "enteredAt")
PERSONAL = {"userId": "user_id", "email": "email", "phone": "phone"}
"""Field → type of identifier."""

_encode = msgspec.json.Encoder().encode


class Export(msgspec.Struct, frozen=True):
    """What to write: `fields` in their order, as one of `FORMATS`. Values are masked unless `rights` show them."""

    fields: tuple[str, ...] = PLAIN
    format: str = "csv"
    rights: Rights = NOTHING

    @classmethod
    def asked(cls, fields: str, format_: str, *, rights: Rights) -> "Export":
        """From what a request says: names of fields with commas between them. Raises Invalid."""
        wanted = tuple(name.strip() for name in fields.split(",") if name.strip()) or PLAIN
        known = (*PLAIN, *PERSONAL)
        if strange := [name for name in wanted if name not in known]:
            message = f"{strange[0][:40]!r} is no field. Use any of: {', '.join(known)}."
            raise Invalid(message, code="unknown_field", details={"path": "fields"})
        if format_ not in FORMATS:
            message = f"`format` must be one of {', '.join(FORMATS)}."
            raise Invalid(message, code="unknown_format", details={"path": "format"})
        return cls(tuple(dict.fromkeys(wanted)), format_, rights)

    @property
    def personal(self) -> list[str]:
        """The personal ones among the fields."""
        return [name for name in self.fields if name in PERSONAL]

    def written(self, pages: Iterable[Sequence[Member]]) -> Iterator[bytes]:
        """The bytes of the file: one piece a page; one query a page, and only when a personal field is asked for."""
        return _WRITERS[self.format](self.fields, (self._rows(page) for page in pages))

    def _rows(self, members: Sequence[Member]) -> "list[tuple[str | None, ...]]":
        moments = {at: iso(at) for at in {member.entered_at for member in members}}
        columns: list[Iterable[str | None]] = []
        known = identifiers_of_people(member.person_id for member in members) if self.personal else {}
        for name in self.fields:
            if name == "id":
                columns.append([member.public_id for member in members])
            elif name == "enteredAt":
                columns.append([moments[member.entered_at] for member in members])
            else:
                code = PERSONAL[name]
                columns.append([self._shown(known[member.person_id], code) for member in members])
        return list(zip(*columns, strict=True))

    def _shown(self, identifiers: Sequence[IdentifierView], code: str) -> str | None:
        found = [one for one in identifiers if one.type == code]
        if not found:
            return None
        best = min(found, key=lambda one: (not one.primary, one.verified_at is None, one.first_seen, one.id))
        classification = "personal" if best.personal else classification_of(code, best.value)
        return best.value if self.rights.sees(code, classification) else masked(best.value)


_Rows = Iterable[list[tuple[str | None, ...]]]


def _as_csv(fields: Sequence[str], pages: _Rows) -> Iterator[bytes]:
    yield (",".join(fields) + "\r\n").encode()
    plain = set(fields) <= set(PLAIN)
    for rows in pages:
        if plain:  # ids and times never need a quote
            yield "".join(f"{','.join(row)}\r\n" for row in rows).encode()  # type: ignore[arg-type]
            continue
        text = io.StringIO()
        csv.writer(text).writerows([[_harmless(value) for value in row] for row in rows])
        yield text.getvalue().encode()


def _harmless(value: str | None) -> str:
    """A spreadsheet would run a value that begins like a formula."""
    if not value or value[0] not in "=+-@\t\r" or value[1:].replace(" ", "").isdecimal():
        return value or ""
    return f"'{value}"


def _as_json(fields: Sequence[str], pages: _Rows) -> Iterator[bytes]:
    before = b"["
    for rows in pages:
        if rows:
            yield before + b",\n".join(_encode(dict(zip(fields, row, strict=True))) for row in rows)
            before = b",\n"
    yield b"[]\n" if before == b"[" else b"]\n"


def _as_jsonl(fields: Sequence[str], pages: _Rows) -> Iterator[bytes]:
    for rows in pages:
        yield b"".join(_encode(dict(zip(fields, row, strict=True))) + b"\n" for row in rows)


_WRITERS: dict[str, Callable[[Sequence[str], _Rows], Iterator[bytes]]] = {
    "csv": _as_csv,
    "json": _as_json,
    "jsonl": _as_jsonl,
}
