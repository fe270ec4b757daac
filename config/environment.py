"""Strict readers of environment variables: a value that cannot be understood stops the start with a clear sentence."""

import ipaddress
import os
import sys
from typing import NoReturn


def _stop(name: str, wanted: str) -> NoReturn:
    sys.exit(f"{name}={os.environ[name]!r} cannot be used: give {wanted}, or leave it unset.")


def text(name: str, default: str = "") -> str:
    """The variable, or `default` when it is unset or blank."""
    return os.environ.get(name, "").strip() or default


def flag(name: str, default: bool) -> bool:
    """True for 1, true, yes, on; False for 0, false, no, off."""
    value = text(name).lower()
    if not value:
        return default
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"0", "false", "no", "off"}:
        return False
    _stop(name, "true or false")


def choice(name: str, default: str, *allowed: str) -> str:
    """One of `allowed`, whatever its case."""
    value = text(name, default)
    for word in allowed:
        if word.lower() == value.lower():
            return word
    _stop(name, f"one of {', '.join(allowed)}")


def integer(name: str, default: int, *, low: int, high: int) -> int:
    """A whole number from `low` to `high`."""
    value = text(name)
    if not value:
        return default
    try:
        number = int(value)
    except ValueError:
        _stop(name, f"a whole number from {low} to {high}")
    if not low <= number <= high:
        _stop(name, f"a whole number from {low} to {high}")
    return number


def words(name: str, default: str = "") -> list[str]:
    """A comma-separated list without blanks."""
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def integers(name: str, default: str, *, low: int, high: int) -> tuple[int, ...]:
    """A comma-separated list of different whole numbers from `low` to `high`, largest first."""
    found = words(name, default)
    if not found or any(not (word.isascii() and word.isdigit()) or not low <= int(word[:9]) <= high for word in found):
        _stop(name, f"whole numbers from {low} to {high}, with commas")
    return tuple(sorted({int(word) for word in found}, reverse=True))


def networks(name: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    """A comma-separated list of addresses and networks."""
    try:
        return tuple(ipaddress.ip_network(word, strict=False) for word in words(name))
    except ValueError:
        _stop(name, "addresses or networks such as 10.1.0.0/16, with commas")
