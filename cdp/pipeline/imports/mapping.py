"""Which column of a file fills which field of a message: what the user said, checked, with suggestions."""

import difflib
from collections.abc import Iterable

import msgspec

from cdp.core.errors import Invalid

IDENTIFIERS = ("userId", "anonymousId", "email", "phone", "deviceId")
FIELDS = (*IDENTIFIERS, "messageId", "timestamp", "event")
CARRIER = {"customers": "traits", "events": "properties"}
"""Where what has no field of its own goes: customers become identify calls, events become track calls."""

_READINGS = ("auto", "text", "number")


class Target(msgspec.Struct, frozen=True):
    """A place in the message, as a path, and how a value for it is read: auto, text, number, id or time."""

    field: str
    path: tuple[str, ...]
    reading: str = "auto"


class ColumnMap(msgspec.Struct, frozen=True):
    """A checked mapping. `rest` is traits, properties or ignore: what becomes of the columns that are not named."""

    kind: str
    columns: tuple[tuple[str, Target], ...]
    constants: tuple[tuple[Target, str], ...]
    rest: str
    decimal: str = "."
    time_format: str = ""

    @classmethod
    def parse(
        cls,
        kind: str,
        columns: Iterable[str],
        constants: Iterable[str] = (),
        *,
        rest: str = "",
        decimal: str = ".",
        time_format: str = "",
    ) -> "ColumnMap":
        """The mapping of `column=field` and `field=text` as they stand on the command line. Raises Invalid."""
        pairs = [(column, target(kind, field)) for column, field in (_split(text, "--map", -1) for text in columns)]
        fixed = [(target(kind, field), text) for field, text in (_split(text, "--set", 1) for text in constants)]
        rest = rest or CARRIER[kind]
        if rest not in ("ignore", CARRIER[kind]):
            raise Invalid(f"Rows of {kind} have {CARRIER[kind]} and no {rest}: use --rest {CARRIER[kind]} or ignore.")
        found = cls(kind, tuple(pairs), tuple(fixed), rest, decimal, time_format)
        found._check()
        return found

    def check_columns(self, known: list[str]) -> None:
        """Raises Invalid, naming the nearest column, when one is mapped that the file does not have."""
        for column, _ in self.columns:
            if column not in known and column.split(".")[0] not in known:
                raise Invalid(
                    f"The file has no column {column!r}.{nearest(column, known)} Its columns are: {', '.join(known)}.",
                    code="unknown_column",
                )
        if not any(target.reading == "id" and target.field != "messageId" for target in self._targets()):
            raise Invalid(
                "No column says whose row it is: map one to userId, anonymousId, email, phone, deviceId or "
                f"external:<namespace>, for example --map {known[0]}=userId. The columns are: {', '.join(known)}.",
                code="no_identifier",
            )

    def _targets(self) -> list[Target]:
        return [*(target for _, target in self.columns), *(target for target, _ in self.constants)]

    def _check(self) -> None:
        paths: dict[tuple[str, ...], str] = {}
        for target in self._targets():
            for length in range(1, len(target.path) + 1):
                if target.path[:length] in paths:
                    raise Invalid(f"{target.field} would be filled twice: also by {paths[target.path[:length]]}.")
            for path, field in paths.items():
                if path[: len(target.path)] == target.path:
                    raise Invalid(f"{target.field} would be filled twice: also by {field}.")
            paths[target.path] = target.field
        fields = {target.field for target in self._targets()}
        if self.kind == "events":
            if "event" not in fields:
                raise Invalid('Events need a name: --map COLUMN=event, or for all rows --set event="Order Completed".')
            if "timestamp" not in fields:
                raise Invalid("Events need their time: --map COLUMN=timestamp, or for all rows --set timestamp=DATE.")


def target(kind: str, text: str) -> Target:
    """The place that the field name `text` stands for. Raises Invalid for what is none, with the nearest name."""
    field, colon, reading = text.rpartition(":")
    if not colon or reading not in _READINGS or field == "external":
        field, reading = text, "auto"
    carrier = CARRIER[kind]
    named = ("traits",) if kind == "customers" else ("context", "traits")
    if field.startswith("external:") and len(field) > len("external:"):
        return Target(field, ("context", "externalIds", field.removeprefix("external:")), "id")
    if field in ("email", "phone"):
        return Target(field, (*named, field), "id")
    if field == "deviceId":
        return Target(field, ("context", "device", "id"), "id")
    if field in ("userId", "anonymousId", "messageId"):
        return Target(field, (field,), "id")
    if field == "timestamp":
        return Target(field, (field,), "time")
    if field == "event" and kind == "events":
        return Target(field, (field,), "text")
    head, dot, name = field.partition(".")
    parts = tuple(name.split("."))
    if dot and head in (carrier, "context") and all(parts):
        return Target(field, (head, *parts), reading)
    spelling = {known.lower(): known for known in FIELDS}.get(field.replace("_", "").replace("-", "").lower())
    if kind == "customers" and field and not spelling and not dot:
        return Target(field, ("traits", field), reading)
    meant = f" Did you mean {spelling}?" if spelling and spelling != field else nearest(field, FIELDS)
    raise Invalid(
        f"There is no field {text!r} for {kind}.{meant} Fields: {', '.join(FIELDS)}, external:<namespace>, "
        f"{carrier}.<name>, context.<name>.",
        code="unknown_field",
    )


def nearest(word: str, known: Iterable[str]) -> str:
    """A question that offers the name most like `word`, or nothing."""
    by_lower = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), by_lower, n=1)
    return f" Did you mean {by_lower[close[0]]}?" if close else ""


def _split(text: str, option: str, direction: int) -> tuple[str, str]:
    left, sign, right = text.rpartition("=") if direction < 0 else text.partition("=")
    if not sign or not left.strip() or not right.strip():
        form = "column=field" if option == "--map" else "field=value"
        raise Invalid(f"{option} {text!r} cannot be read: write {option} {form}.")
    return left.strip(), right.strip()
