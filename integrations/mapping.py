"""From the columns of a provider, or the traits of our own store, to a profile: by a mapping that is configuration.

    {"fields": {"subscriptions.netflix": {"column": "has_netflix", "type": "boolean"}, …},
     "ignore": ["userIdType"], "rest": "attributes"}

A name with a dot is a field within a group. What no field names becomes an attribute with the type that it has, unless
`rest` is `ignore`.
"""

import re
from collections.abc import Mapping as AnyMapping
from datetime import date
from typing import Any, Literal

import msgspec

from cdp.core.clock import parse_time
from cdp.core.errors import Invalid
from integrations.standard import ATTRIBUTES, SPELLINGS, STANDARD, ProfileField

Type = Literal["any", "text", "integer", "number", "boolean", "date"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,59}(\.[A-Za-z][A-Za-z0-9_]{0,59})?")
_FLAG = re.compile(r"(has|is)_", re.IGNORECASE)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}.*")
_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_MAX_FIELDS = 500


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where a field comes from. A value that cannot be read as `type` is left out."""

    column: str
    type: Type = "any"
    label: str = ""
    personal: bool = False


class Mapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Field → rule, columns that are dropped, and what becomes of the rest."""

    fields: dict[str, Rule]
    ignore: tuple[str, ...] = ()
    rest: Literal["attributes", "ignore"] = "attributes"

    def columns(self, row: AnyMapping[str, Any]) -> dict[str, Any]:
        """The columns of `row` that are kept, each with its type; what is null or cannot be read is left out."""
        rules = {rule.column: rule for rule in self.fields.values()}
        kept = {}
        for column, value in row.items():
            rule = rules.get(column)
            if column in self.ignore or (rule is None and self.rest == "ignore" and column not in SPELLINGS):
                continue
            read = typed(column, value) if rule is None else read_as(rule.type, column, value)
            if read is not None:
                kept[column] = read
        return kept

    def profile(self, columns: AnyMapping[str, Any]) -> dict[str, Any]:
        """The profile that `columns` make; groups are objects, and there is none without a value."""
        profile: dict[str, Any] = {}
        left = dict(columns)
        for name, rule in self.fields.items():
            if rule.column in columns:
                left.pop(rule.column, None)
                _put(profile, name, columns[rule.column])
        for column, value in left.items():
            name = SPELLINGS.get(column, "")
            if name and name not in profile:
                profile[name] = value
            elif self.rest == "attributes":
                profile.setdefault(ATTRIBUTES, {})[column] = value
        return profile

    def described(self) -> list[ProfileField]:
        """The fields that the mapping names."""
        return [
            ProfileField(name, rule.label or _label(name), rule.type, personal=rule.personal or _is_personal(name))
            for name, rule in self.fields.items()
        ]


def parse_mapping(document: Any) -> Mapping:
    """The mapping in a JSON document. Raises Invalid with the path of what is wrong."""
    try:
        mapping = msgspec.convert(document, Mapping)
    except msgspec.ValidationError as error:
        raise Invalid(f"The mapping cannot be read: {error}.", code="bad_mapping") from None
    if len(mapping.fields) > _MAX_FIELDS:
        raise Invalid(f"A mapping has at most {_MAX_FIELDS} fields.", code="bad_mapping")
    groups = {name.partition(".")[0] for name in mapping.fields if "." in name}
    for name, rule in mapping.fields.items():
        if not _NAME.fullmatch(name) or name.partition(".")[0] == ATTRIBUTES:
            form = "letters, digits and _, with at most one dot; “attributes” is taken"
            raise Invalid(f"“{name[:60]}” is no name of a field: {form}.", code="bad_mapping")
        if name in groups:
            raise Invalid(f"“{name}” is a field and a group of fields.", code="bad_mapping")
        if not rule.column:
            raise Invalid(f"fields.{name}.column is blank.", code="bad_mapping")
    return mapping


def typed(column: str, value: Any) -> Any:
    """A value that no rule knows: as it is, and true or false where a column `has_…` or `is_…` says 0 or 1."""
    if _FLAG.match(column) and not isinstance(value, bool) and value in (0, 1):
        return bool(value)
    return value


def type_of(value: Any) -> str:
    """What a value is: boolean, integer, number, date, time, text, list or object."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "date" if _DATE.fullmatch(value) else "time" if _TIME.fullmatch(value) else "text"
    kinds: dict[type, str] = {int: "integer", float: "number", list: "list", dict: "object"}
    return kinds.get(type(value), "nothing")


def read_as(wanted: Type, column: str, value: Any) -> Any:
    """`value` as `wanted`, or None when it cannot be read so."""
    if value is None or wanted == "any":
        return typed(column, value)
    if isinstance(value, list | dict):
        return None
    return _READERS[wanted](value)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _boolean(value: Any) -> bool | None:
    return _WORDS.get(str(int(value)) if isinstance(value, float) and value in (0, 1) else str(value).strip().lower())


def _number(value: Any) -> float | int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        try:
            value = msgspec.json.decode(value.strip(), type=float)
        except msgspec.DecodeError:
            return None
    return value if isinstance(value, int | float) else None


def _integer(value: Any) -> int | None:
    number = _number(value)
    return int(number) if number is not None and number == int(number) else None


def _date(value: Any) -> str | None:
    text = str(value).strip()
    if parse_time(text) is None:
        return None
    try:
        return date.fromisoformat(text).isoformat() if len(text) <= 10 else text
    except ValueError:
        return None


_READERS: dict[str, Any] = {"text": _text, "boolean": _boolean, "number": _number, "integer": _integer, "date": _date}


def _put(profile: dict[str, Any], name: str, value: Any) -> None:
    group, dot, inner = name.partition(".")
    if dot:
        profile.setdefault(group, {})[inner] = value
    else:
        profile[name] = value


def _label(name: str) -> str:
    text = name.replace("_", " ").replace(".", " – ")
    return text[:1].upper() + text[1:]


def _is_personal(name: str) -> bool:
    return name in STANDARD and STANDARD[name].personal
