"""Where the work at hand comes from: set for each request, so that what it causes can say so without being told."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import msgspec


class Origin(msgspec.Struct, frozen=True):
    """The id of the request and the client's address in full, to be shortened before it is kept; blank outside one."""

    request_id: str = ""
    address: str = ""


_current: ContextVar[Origin] = ContextVar("origin", default=Origin())  # noqa: B039 - frozen


def current_origin() -> Origin:
    """The origin of the code that runs; a blank one in a command or a task."""
    return _current.get()


@contextmanager
def coming_from(origin: Origin) -> Iterator[None]:
    """Everything within comes from `origin`."""
    token = _current.set(origin)
    try:
        yield
    finally:
        _current.reset(token)
