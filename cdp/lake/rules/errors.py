"""What is wrong with a rule: the path in its JSON, and what would be right."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from cdp.core.errors import Invalid

_SHOWN = 12


class RuleError(Invalid):
    """A rule that cannot be used. `path` and `message` are of the first problem, `problems` has all of them."""

    code = "invalid_rule"

    def __init__(self, path: str, message: str, *, others: Iterable[tuple[str, str]] = ()) -> None:
        self.path = path
        self.problems = ((path, message), *others)
        listed = [{"path": where, "problem": what} for where, what in self.problems]
        super().__init__(message, details={"path": path, "problem": message, "problems": listed})

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"

    @classmethod
    def together(cls, errors: "Iterable[RuleError]") -> "RuleError":
        """Several as one."""
        (path, message), *others = [problem for error in errors for problem in error.problems]
        return cls(path, message, others=others)


def shown(value: object) -> str:
    """A value of the rule as a message shows it: short."""
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def instead(given: str, names: Iterable[str]) -> str:
    """What may have been meant by `given`: "Did you mean …?", or what there is."""
    known = sorted(names)
    close = get_close_matches(given[:100], known, n=1, cutoff=0.6)
    if close:
        return f"Did you mean {close[0]!r}?"
    if not known:
        return "There are none yet."
    more = ", …" if len(known) > _SHOWN else ""
    return f"There are: {', '.join(known[:_SHOWN])}{more}."


def only_keys(node: Mapping[str, object], known: Iterable[str], path: str) -> None:
    """Raises RuleError for the first key that is not one of `known`."""
    names = tuple(known)
    for key in node:
        if key not in names:
            raise RuleError(f"{path}.{key}"[:200], f"{shown(key)} means nothing here. {instead(str(key), names)}")
