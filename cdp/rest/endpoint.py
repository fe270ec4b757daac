"""The base of every view of the API."""

from typing import ClassVar

from rest_framework.views import APIView


class Endpoint(APIView):
    """A view whose `needs` says, per method, the action of `cdp.access.permissions` that the caller must be allowed."""

    needs: ClassVar[dict[str, str]] = {}
