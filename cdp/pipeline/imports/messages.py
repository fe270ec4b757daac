"""From a row to a message by a mapping.

A text of a CSV file that goes into a property or a trait becomes

* a number when it is written as one: `12`, `-3.50`, `0.5`; at most 15 digits, no leading zeros, no thousands marks;
* true or false when it says so, whatever the case;
* nothing at all when it is blank;
* and stays a text otherwise, and always in a column whose name ends in a word like id, code, sku, zip, phone, number.

`:text` or `:number` behind a field overrules this. Ids, e-mail and phone are always texts, so `00001` stays `00001`.
Values of JSON lines keep the types that they have.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from cdp.core.clock import from_us, parse_time
from cdp.identities.normalise import as_text, normalised
from cdp.pipeline.imports.mapping import CARRIER, ColumnMap, Target

_CALLS = {"customers": "identify", "events": "track"}
_TEXT_WORDS = {"id", "ids", "uuid", "guid", "code", "sku", "ean", "gtin", "isbn", "iban", "zip", "postcode", "postal"}
_TEXT_WORDS |= {"phone", "mobile", "number"}
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?")
_EPOCH = re.compile(r"-?\d{9,16}(?:\.\d+)?")
_BOOLEANS = {"true": True, "false": False}

Convert = Callable[[Any], Any]


class RowRefused(Exception):
    """A row that makes no message: a stable code, and a sentence without any value of the row."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class MessageMaker:
    """Makes messages of rows by one mapping. `region` is that of phone numbers without a country code."""

    def __init__(self, columns: ColumnMap, *, region: str) -> None:
        self._kind = columns.kind
        self._map = columns
        self._region = region
        self._constants = [
            (target, value)
            for target, text in columns.constants
            if (value := self._converter(target, target.path[-1])(text)) is not None
        ]
        self._columns = [(name, target, self._converter(target, name)) for name, target in columns.columns]
        self._taken = {name for name, _ in columns.columns}
        self._carrier = CARRIER[columns.kind]
        targets = [target for _, target in columns.columns] + [target for target, _ in columns.constants]
        self._filled = {target.path[1] for target in targets if target.path[0] == self._carrier}
        self._rest: dict[str, Convert | None] = {}

    def message(self, values: dict[str, Any]) -> dict[str, Any]:
        """The message of a row, without `messageId` when no column has it. Raises RowRefused."""
        message: dict[str, Any] = {"type": _CALLS[self._kind]}
        if self._map.rest != "ignore":
            kept = self._kept(values)
            if kept:
                message[self._carrier] = kept
        for target, value in self._constants:
            _put(message, target, value)
        for name, target, convert in self._columns:
            value = values.get(name)
            if value is None and "." in name:
                value = _within(values, name)
            if value is None:
                continue
            value = convert(value)
            if value is not None:
                _put(message, target, value)
        self._check(message)
        return message

    def _kept(self, values: dict[str, Any]) -> dict[str, Any]:
        kept = {}
        rest = self._rest
        for name, value in values.items():
            convert = rest.get(name)
            if convert is None:
                if name in self._taken or name in self._filled:
                    continue
                convert = rest[name] = self._converter(Target(name, (name,)), name)
            if value is not None and (value := convert(value)) is not None:
                kept[name] = value
        return kept

    def _check(self, message: dict[str, Any]) -> None:
        if self._kind == "events":
            if "event" not in message:
                raise RowRefused("no_event", "It has no event name.")
            if "timestamp" not in message:
                raise RowRefused("no_timestamp", "It has no time.")
        if "userId" in message or "anonymousId" in message:
            return
        context = message.get("context", {})
        said = message.get("traits", {}) if self._kind == "customers" else context.get("traits", {})
        if context.get("externalIds") or context.get("device", {}).get("id"):
            return
        given = [(code, said[code]) for code in ("email", "phone") if isinstance(said.get(code), str)]
        if not any(normalised(code, value, region=self._region) for code, value in given):
            raise RowRefused("no_identifier", "None of the columns that say whose row it is has a usable value.")

    def _converter(self, target: Target, column: str) -> Convert:
        if target.reading == "id":
            return lambda value: _id(value, target.field)
        if target.reading == "time":
            return lambda value: _time(value, self._map.time_format)
        if target.reading == "text" or (target.reading == "auto" and _names_a_text(column, target.path[-1])):
            return _text
        number = self._number
        if target.reading == "number":
            return lambda value: number(value, target.field)
        return self._auto

    def _auto(self, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        text = value.strip()
        if not text:
            return None
        last = text[-1]
        if "0" <= last <= "9":
            found = self._number_of(text)
            return text if found is None else found
        return _BOOLEANS.get(text.lower(), text) if last in "eE" else text

    def _number(self, value: Any, field: str) -> int | float | None:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value
        if isinstance(value, str):
            text = value.strip()
            found = self._number_of(text)
            if found is not None or not text:
                return found
        raise RowRefused("bad_number", f"The value for {field} is not a number.")

    def _number_of(self, text: str) -> int | float | None:
        if self._map.decimal == ",":
            if "." in text:
                return None
            text = text.replace(",", ".")
        if len(text) > 17 or not text.isascii() or not _NUMBER.fullmatch(text):
            return None
        if "." in text:
            return float(text) if len(text) - 1 - text.startswith("-") <= 15 else None
        return int(text) if len(text) - text.startswith("-") <= 15 else None


def _put(message: dict[str, Any], target: Target, value: Any) -> None:
    path = target.path
    if len(path) == 1:
        message[path[0]] = value
        return
    if path[1] == "externalIds":
        known = message.setdefault("context", {}).setdefault("externalIds", [])
        known.append({"id": value, "type": path[2], "collection": "users", "encoding": "none"})
        return
    place = message
    for name in path[:-1]:
        place = place.setdefault(name, {})
    place[path[-1]] = value


def _within(values: dict[str, Any], name: str) -> Any:
    """The value at a dotted path in nested JSON objects."""
    place: Any = values
    for part in name.split("."):
        if not isinstance(place, dict):
            return None
        place = place.get(part)
    return place


def _id(value: Any, field: str) -> str | None:
    text = as_text(value)
    if text is None:
        raise RowRefused("bad_id", f"The value for {field} is neither a text nor a number.")
    return text.strip() or None


def _text(value: Any) -> Any:
    if isinstance(value, str):
        return value.strip() or None
    return value if isinstance(value, bool | dict | list) else as_text(value)


def _time(value: Any, form: str) -> str | None:
    us: int | None = None
    if isinstance(value, str):
        text = value.strip()
        if not text:
            return None
        if form:
            us = _formatted(text, form)
        elif _EPOCH.fullmatch(text):
            us = _epoch(float(text))
        else:
            us = parse_time(text)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        us = _epoch(value)
    if us is None:
        raise RowRefused("bad_timestamp", "Its time cannot be read: ISO 8601, seconds or milliseconds since 1970.")
    return from_us(us).isoformat()


def _epoch(value: float) -> int | None:
    return parse_time(value / 1000 if abs(value) >= 1e14 else value)


def _formatted(text: str, form: str) -> int | None:
    try:
        moment = datetime.strptime(text, form)
    except ValueError:
        return None
    return parse_time(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _names_a_text(column: str, field: str) -> bool:
    """Whether a name ends in a word that says: this is a label, however much it looks like a number."""
    for name in (column, field):
        words = _WORD.findall(name)
        if words and words[-1].lower() in _TEXT_WORDS:
            return True
    return False
