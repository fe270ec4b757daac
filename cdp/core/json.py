"""JSON in one place: msgspec, which refuses NaN and infinity and is ten times as fast as the standard one."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

encode = msgspec.json.Encoder().encode
_decode_any = msgspec.json.Decoder().decode


def decode(data: bytes | memoryview | str) -> Any:
    """The value of a JSON text that we wrote ourselves. Raises msgspec.DecodeError."""
    return _decode_any(data)


_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*"?|[\[\]{}]', re.DOTALL)
_QUOTE = ord('"')
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def nested_deeper(text: bytes, limit: int) -> bool:
    """Whether objects and lists in a JSON text are nested deeper than `limit`; found without recursion.

    Counting brackets spares nearly every text the scan.
    """
    if text.count(b"{") + text.count(b"[") <= limit:
        return False
    level = 0
    for _, bracket in _brackets(text):
        level += 1 if bracket in b"[{" else -1
        if level > limit:
            return True
    return False


def cut_deep(text: bytes, *, at: int, limit: int, mark: str) -> tuple[bytes, list[bytes]]:
    """`text` with every object or list of level `at` that reaches below level `limit` replaced by `"<mark>:<number>"`.

    The outermost object is level 1. What was cut out comes second, by number. For what a decoder cannot reach.
    """
    pieces: list[bytes] = []
    taken: list[bytes] = []
    level = deepest = start = end = 0
    for position, bracket in _brackets(text):
        if bracket in b"[{":
            level += 1
            start, deepest = (position, level) if level == at else (start, max(deepest, level))
            continue
        if level == at and deepest > limit:
            pieces += [text[end:start], f'"{mark}:{len(taken)}"'.encode()]
            end = position + 1
            taken.append(text[start:end])
        level -= 1
    return b"".join([*pieces, text[end:]]), taken


def _brackets(text: bytes) -> Iterator[tuple[int, int]]:
    """Position and byte of every bracket and brace of a JSON text that stands in no string."""
    for token in _TOKENS.finditer(text):
        position = token.start()
        if text[position] != _QUOTE:
            yield position, text[position]


def has_nul(text: bytes) -> bool:
    """Whether a string of a JSON text holds the character U+0000, which PostgreSQL cannot store."""
    return b"\\" in text and b"\\u0000" in text and _NUL.search(text) is not None
