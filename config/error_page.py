"""What the error page of DEBUG shows: never what a view has marked as sensitive."""

from django.http import HttpRequest
from django.views.debug import SafeExceptionReporterFilter


class AlwaysHiding(SafeExceptionReporterFilter):
    """Django's own hides marked parameters and variables without DEBUG only."""

    def is_active(self, request: HttpRequest | None) -> bool:  # noqa: ARG002 - the framework's interface
        """Always."""
        return True
