"""Lists: `{"data", "pagination": {"page", "limit", "total"}}` by number, `{"data", "next"}` by cursor."""

from collections.abc import Sequence
from typing import Generic, TypeVar

import msgspec
from rest_framework.request import Request

from cdp.core.errors import Invalid

T = TypeVar("T")
DEFAULT_LIMIT = 50
MAX_LIMIT = 500
MAX_OFFSET = 100_000


class Pagination(msgspec.Struct, frozen=True):
    """The page number (from 1), how many a page holds, and how many there are in all."""

    page: int
    limit: int
    total: int


class Page(msgspec.Struct, Generic[T], frozen=True):
    """One numbered page."""

    data: list[T]
    pagination: Pagination


class CursorPage(msgspec.Struct, Generic[T], frozen=True):
    """One page and the cursor of the page after it; null: this was the last."""

    data: list[T]
    next: str | None


class EitherPage(msgspec.Struct, Generic[T], frozen=True, omit_defaults=True):
    """A list that can be read both ways: it has `pagination`, or `next` when it was asked for by cursor."""

    data: list[T]
    pagination: Pagination | None = None
    next: str | None = None


class Window(msgspec.Struct, frozen=True):
    """Which page a request asks for."""

    page: int
    limit: int

    @property
    def offset(self) -> int:
        """How many rows come before it."""
        return (self.page - 1) * self.limit

    def of(self, rows: Sequence[T]) -> Page[T]:
        """The page of a short list that is in memory."""
        return self.page_of(list(rows[self.offset : self.offset + self.limit]), total=len(rows))

    def page_of(self, data: list[T], *, total: int) -> Page[T]:
        """The envelope of rows that were read for this window."""
        return Page(data=data, pagination=Pagination(page=self.page, limit=self.limit, total=total))


def window(request: Request) -> Window:
    """`page` and `limit` of the query. Raises Invalid when one is no number in its bounds."""
    limit = limit_of(request)
    page = _number(request, "page", 1, high=MAX_OFFSET)
    if (page - 1) * limit > MAX_OFFSET:
        raise Invalid(f"Pages reach {MAX_OFFSET} rows deep.", code="page_out_of_range", details={"path": "page"})
    return Window(page=page, limit=limit)


def limit_of(request: Request, default: int = DEFAULT_LIMIT) -> int:
    """`limit` of the query. Raises Invalid."""
    return _number(request, "limit", default, high=MAX_LIMIT)


def _number(request: Request, name: str, default: int, *, high: int) -> int:
    text = request.query_params.get(name, "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdigit()) or len(text) > 9 or not 1 <= int(text) <= high:
        message = f"`{name}` must be a whole number from 1 to {high}."
        raise Invalid(message, code=f"invalid_{name}", details={"path": name})
    return int(text)
