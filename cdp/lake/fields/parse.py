"""Reading an expression: `parse("if(ltv > 500, 'gold', 'basic')", names)` is its typed tree, or says what is wrong."""

from collections.abc import Iterable
from difflib import get_close_matches

from cdp.core.clock import parse_time
from cdp.lake.fields.functions import FUNCTIONS, KIND_NAMES, MAX_DIGITS, OPERATORS, Function
from cdp.lake.fields.scan import Word, words_of
from cdp.lake.fields.tree import MAX_DEPTH, MAX_NODES, Call, Constant, FieldError, Kind, Name, Names, Node

_LEVELS = (("or",), ("and",), ("=", "!=", "<", "<=", ">", ">="), ("+", "-"), ("*", "/", "%"))
_COMPARISON = 2
_RESERVED = {"and", "or", "not", "true", "false"}


def parse(expression: str, names: Names) -> Node:
    """The tree of `expression` over `names`. Raises FieldError, with the position."""
    return _Parser(words_of(expression), names).whole()


class _Parser:
    def __init__(self, words: list[Word], names: Names) -> None:
        self.words = words
        self.names = names
        self.place = 0
        self.depth = 0
        self.nodes = 0

    @property
    def word(self) -> Word:
        return self.words[self.place]

    def whole(self) -> Node:
        if self.word.sort == "end":
            raise FieldError("The expression is empty. Write one such as `ltv / purchaseCount`.", 0)
        node = self.level(0)
        if self.place != len(self.words) - 1:
            raise FieldError(f"The expression ends before {_shown(self.word)}: an operator is missing.", self.word.at)
        return node

    def level(self, number: int) -> Node:
        """A chain of the operators of one level, from left to right; below the last level the operands."""
        if number == len(_LEVELS):
            return self.operand()
        if number == 1 + _LEVELS.index(("and",)) and self.takes_name("not"):
            return self.negated(number)
        left = self.level(number + 1)
        while sign := self.operator(_LEVELS[number]):
            left = self.call(sign.text, OPERATORS[sign.text], (left, self.level(number + 1)), sign.at)
            if number == _COMPARISON and self.word.sort == "sign" and self.word.text in _LEVELS[number]:
                raise FieldError("Compare two values at a time and join the comparisons with `and`.", self.word.at)
        return left

    def negated(self, number: int) -> Node:
        at = self.words[self.place - 1].at
        self.enter(at)
        node = self.call("not", OPERATORS["not"], (self.level(number),), at)
        self.depth -= 1
        return node

    def operand(self) -> Node:
        word = self.word
        self.enter(word.at)
        self.place += 1
        node: Node
        if word.sort == "sign" and word.text == "-":
            node = self.call("negate", OPERATORS["negate"], (self.operand(),), word.at)
        elif word.sort == "sign" and word.text == "(":
            node = self.level(0)
            self.close(word)
        elif word.sort == "number":
            node = self.constant("number", float(word.text), word)
        elif word.sort == "text":
            node = self.constant("text", word.text, word)
        elif word.sort in ("name", "quoted"):
            node = self.named(word)
        else:
            raise FieldError(
                f"A value is missing before {_shown(word)}: a number, a text, a key or a function.", word.at
            )
        self.depth -= 1
        return node

    def named(self, word: Word) -> Node:
        if word.sort == "name" and self.takes_sign("("):
            if word.text in KIND_NAMES and (trait := self.stated(word)) is not None:
                return trait
            return self.date(word) if word.text == "date" else self.function(word)
        if word.sort == "name" and word.text in ("true", "false"):
            return self.constant("flag", word.text == "true", word)
        if word.sort == "name" and word.text in _RESERVED:
            raise FieldError(f"A value is missing before `{word.text}`.", word.at)
        return self.key(word.text, word.at)

    def key(self, key: str, at: int) -> Name:
        self.count(at)
        if self.names.personal(key):
            raise FieldError(f"`{key}` is personal: calculated fields are used in segments, so they cannot use it.", at)
        found = self.names.find(key)
        if found is None:
            close = _close(key, self.names.all())
            hint = f" Did you mean `{close}`?" if close else ""
            raise FieldError(
                f"Nothing is known of `{key}`.{hint} Describe it in the catalogue, or say of what kind it is:"
                f" number({key}), text({key}), flag({key}), time({key}) or list({key}).",
                at,
            )
        return found

    def stated(self, word: Word) -> Node | None:
        """`number(key)`: a trait whose kind is said; None when that is not what it is."""
        inner = self.word
        if inner.sort not in ("name", "quoted", "text") or self.words[self.place + 1][:2] != ("sign", ")"):
            raise FieldError(f"`{word.text}()` takes the key of a trait, such as {word.text}(`my key`).", inner.at)
        self.place += 2
        self.count(word.at)
        if self.names.personal(inner.text):
            return self.key(inner.text, inner.at)
        known = self.names.find(inner.text)
        if known is not None and known.kind != word.text:
            raise FieldError(f"`{inner.text}` is a {known.kind} and no {word.text}.", word.at)
        kind: Kind = next(kind for kind in KIND_NAMES if kind == word.text)
        return known or Name(kind, "trait", inner.text)

    def date(self, word: Word) -> Node:
        inner = self.word
        moment = parse_time(inner.text) if inner.sort == "text" else None
        if moment is None:
            raise FieldError('`date()` takes a text such as date("2026-01-31").', inner.at)
        self.place += 1
        self.close(word)
        return self.constant("time", moment, word)

    def function(self, word: Word) -> Node:
        found = FUNCTIONS.get(word.text)
        if found is None:
            close = _close(word.text, [*FUNCTIONS, *KIND_NAMES, "date"])
            hint = f"Did you mean `{close}`?" if close else f"There are {', '.join(sorted(FUNCTIONS))}."
            raise FieldError(f"There is no function `{word.text}`. {hint}", word.at)
        arguments: list[Node] = []
        while not self.takes_sign(")"):
            if arguments and not self.takes_sign(","):
                raise FieldError(f"A comma or `)` is missing before {_shown(self.word)}.", self.word.at)
            arguments.append(self.level(0))
        return self.call(word.text, found, tuple(arguments), word.at)

    def call(self, name: str, function: Function, arguments: tuple[Node, ...], at: int) -> Call:
        self.count(at)
        kinds = [argument.kind for argument in arguments]
        form = next((form for form in function.forms if form.fits(kinds)), None)
        if form is None:
            given = " and ".join([", ".join(kinds[:-1]), kinds[-1]] if len(kinds) > 1 else kinds) or "nothing"
            ways = " or ".join(dict.fromkeys(_form(takes.takes, more=takes.more) for takes in function.forms))
            raise FieldError(f"`{function.usage}` takes {ways}, not {given}.", at)
        if name == "round" and len(arguments) == 2:
            digits = arguments[1]
            if not isinstance(digits, Constant) or digits.value not in range(MAX_DIGITS + 1):
                raise FieldError(f"`round` takes the digits as a whole number from 0 to {MAX_DIGITS}.", at)
        return Call(form.gives, name, arguments)

    def constant(self, kind: Kind, value: float | str | bool | int, word: Word) -> Constant:
        self.count(word.at)
        if kind == "number" and abs(float(value)) == float("inf"):
            raise FieldError("This number is too large.", word.at)
        return Constant(kind, value)

    def operator(self, signs: Iterable[str]) -> Word | None:
        word = self.word
        if word.sort in ("sign", "name") and word.text in signs:
            self.place += 1
            return word
        return None

    def takes_sign(self, sign: str) -> bool:
        taken = self.word[:2] == ("sign", sign)
        self.place += taken
        return taken

    def takes_name(self, name: str) -> bool:
        taken = self.word[:2] == ("name", name)
        self.place += taken
        return taken

    def close(self, opened: Word) -> None:
        if not self.takes_sign(")"):
            raise FieldError(f"A `)` is missing for what was opened at position {opened.at + 1}.", self.word.at)

    def enter(self, at: int) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise FieldError(f"The expression is nested more than {MAX_DEPTH} deep.", at)

    def count(self, at: int) -> None:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise FieldError(f"The expression has more than {MAX_NODES} parts. Make two fields of it.", at)


def _form(kinds: tuple[Kind, ...], *, more: bool) -> str:
    if not kinds:
        return "nothing"
    return "(" + ", ".join(kinds) + (", …)" if more else ")")


def _shown(word: Word) -> str:
    return "its end" if word.sort == "end" else f"`{word.text[:40]}`"


def _close(word: str, known: Iterable[str]) -> str | None:
    return next(iter(get_close_matches(word, list(known), n=1)), None)
