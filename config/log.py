"""How a log line looks: text for people, or JSON for machines (LOG_FORMAT=json). Neither tells a personal value.

The text of an exception and the path of a request may hold one (a database quotes the row it refuses), so a line has
the exception's type and place, and the route instead of the path.
"""

import logging
import traceback
from types import TracebackType
from typing import Any

import msgspec

from cdp.core.clock import iso
from cdp.core.origin import current_origin


class NoValues(logging.Filter):
    """Takes paths and exception texts out of what Django and Celery log. It sits on the handler: it sees every line."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always true; changes the arguments of the line."""
        if isinstance(record.args, dict) and record.name == "celery.app.trace" and record.exc_info:
            kind = record.exc_info[0]
            record.args = {**record.args, "exc": kind.__name__ if kind else "", "traceback": ""}
        request: Any = getattr(record, "request", None)
        if isinstance(record.args, tuple) and record.args and hasattr(request, "path"):
            match = getattr(request, "resolver_match", None)
            route = f"/{match.route}" if match else "(unknown route)"
            record.args = tuple(route if arg == request.path else arg for arg in record.args)
        return True


class _Formatter(logging.Formatter):
    def formatException(
        self, ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
    ) -> str:
        kind, error, place = ei
        lines = traceback.format_tb(place)
        while error is not None and (error := error.__cause__ or error.__context__) is not None:
            lines += [f"after {type(error).__name__}\n", *traceback.format_tb(error.__traceback__)]
        return "".join(lines) + (kind.__name__ if kind else "")


class TextFormatter(_Formatter):
    """Time, level, logger, request id if there is one, message."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s%(of_request)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """One line, and the traceback below it if there is one."""
        request_id = current_origin().request_id
        record.of_request = f" [{request_id}]" if request_id else ""
        return super().format(record)


class JsonFormatter(_Formatter):
    """One JSON object a line: time, level, logger, message, requestId, error."""

    def format(self, record: logging.LogRecord) -> str:
        """Never more than one line."""
        line = {
            "time": iso(int(record.created * 1_000_000)),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id := current_origin().request_id:
            line["requestId"] = request_id
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()
