"""What can go wrong, as types. `cdp.rest` maps them to HTTP in one place; `code` is stable, `message` is a sentence."""

from collections.abc import Mapping


class DomainError(Exception):
    """A refusal with a stable `code`, a sentence that says what to do, and details for a program."""

    code = "error"
    status = 400

    def __init__(self, message: str, *, code: str = "", details: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.details = dict(details or {})


class Invalid(DomainError):
    """The input cannot be used as it is."""

    code = "invalid"
    status = 400


class Forbidden(DomainError):
    """The caller has not the right."""

    code = "permission_denied"
    status = 403


class NotFound(DomainError):
    """Nothing has that id."""

    code = "not_found"
    status = 404


class Conflict(DomainError):
    """The state does not allow it."""

    code = "conflict"
    status = 409


class TooLarge(DomainError):
    """Over a size limit."""

    code = "too_large"
    status = 413


class Unavailable(DomainError):
    """The store cannot take it now; the same call may succeed later."""

    code = "unavailable"
    status = 503
