"""The words of an expression, each with its place."""

import re
from typing import Literal, NamedTuple

from cdp.lake.fields.tree import MAX_LENGTH, FieldError

Sort = Literal["number", "text", "name", "quoted", "sign", "end"]


class Word(NamedTuple):
    """A word: `sort` says what it is, `text` what it says (without quotes), `at` where it starts, from 0."""

    sort: Sort
    text: str
    at: int


_WORD = re.compile(
    r"""(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d{1,3})?)
      | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<name>[^\W\d]\w*(?:\.\w+)*)
      | `(?P<quoted>[^`]+)`
      | (?P<sign><=|>=|!=|<>|==|[-+*/%=<>(),])""",
    re.VERBOSE,
)
_SPACE = re.compile(r"\s*")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_SIGNS = {"==": "=", "<>": "!="}


def words_of(expression: str) -> list[Word]:
    """The words, the last of them `end`. Raises FieldError."""
    if len(expression) > MAX_LENGTH:
        raise FieldError(f"An expression has at most {MAX_LENGTH} characters, not {len(expression)}.", MAX_LENGTH)
    words: list[Word] = []
    at = _SPACE.match(expression).end()  # type: ignore[union-attr]  # matches always
    while at < len(expression):
        found = _WORD.match(expression, at)
        if found is None:
            raise FieldError(_unknown(expression, at), at)
        sort: Sort = found.lastgroup  # type: ignore[assignment]  # the groups are the sorts
        text = found[sort]
        if sort == "text":
            text = _ESCAPED.sub(r"\1", text[1:-1])
        words.append(Word(sort, _SIGNS.get(text, text) if sort == "sign" else text, at))
        at = _SPACE.match(expression, found.end()).end()  # type: ignore[union-attr]
    words.append(Word("end", "", len(expression)))
    return words


def _unknown(expression: str, at: int) -> str:
    character = expression[at]
    if character in "\"'":
        return f"The text that starts here has no end: close it with {character}."
    if character == "`":
        return "The name that starts here has no end: close it with `."
    hints = {
        "&": "Write `and`.",
        "|": "Write `or`.",
        "!": "Write `not`, or `!=`.",
        "[": "Lists cannot be written here.",
    }
    return (
        f"{character!r} means nothing here. {hints.get(character, 'A key with other characters goes in `backquotes`.')}"
    )
