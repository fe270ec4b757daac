"""A request's JSON body as a struct: our own field names in camelCase or snake_case, errors with the path."""

import types
import typing
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

import msgspec
from rest_framework.request import Request

from cdp.core.clock import parse_time
from cdp.core.errors import Invalid

S = TypeVar("S", bound=msgspec.Struct)


def read_body(request: Request, wanted: type[S]) -> S:
    """The body as a `wanted`. Raises Invalid with the path of the field that cannot be used."""
    return as_struct(request.data, wanted)


def as_struct(data: object, wanted: type[S]) -> S:
    """Decoded JSON as a `wanted`, whose field names may be in snake_case. Raises Invalid with the path of the field."""
    if not isinstance(data, dict):
        raise Invalid("Send a JSON object.", details={"path": "$"})
    try:
        return msgspec.convert(_our_names(data, wanted), wanted)
    except msgspec.ValidationError as error:
        sentence, _, path = str(error).partition(" - at `")
        raise Invalid(f"{sentence}.", details={"path": path.rstrip("`") or "$"}) from None


def moment(value: object, path: str) -> int | None:
    """Microseconds of a time in a body; None stays None. Raises Invalid naming `path`."""
    if value is None:
        return None
    us = parse_time(value)
    if us is None:
        raise Invalid(f"`{path}` must be a time in ISO 8601, such as 2026-01-31T12:00:00Z.", details={"path": path})
    return us


def _our_names(data: Mapping[str, Any], wanted: type[msgspec.Struct]) -> dict[str, Any]:
    """`data` with the names of `wanted`'s fields in camelCase, those of nested structs too; nothing else is touched."""
    result = dict(data)
    for field in msgspec.structs.fields(wanted):
        if field.name != field.encode_name and field.name in result:
            result.setdefault(field.encode_name, result.pop(field.name))
        inner = _nested(wanted, field.name)
        value = result.get(field.encode_name)
        if inner is not None and isinstance(value, dict):
            result[field.encode_name] = _our_names(value, inner)
        elif inner is not None and isinstance(value, list):
            result[field.encode_name] = [_our_names(v, inner) if isinstance(v, dict) else v for v in value]
    return result


@cache
def _nested(wanted: type[msgspec.Struct], name: str) -> type[msgspec.Struct] | None:
    """The struct that a field holds, alone or in a list."""
    return _struct_in(typing.get_type_hints(wanted)[name])


def _struct_in(hint: Any) -> type[msgspec.Struct] | None:
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return hint
    if typing.get_origin(hint) in (list, typing.Union, types.UnionType):
        return next((found for part in typing.get_args(hint) if (found := _struct_in(part))), None)
    return None
