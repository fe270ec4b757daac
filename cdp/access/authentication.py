"""Who calls: an API key in `Authorization: Bearer` or `X-API-Key`. (Who signed in comes with the session, and CSRF.)"""

from datetime import timedelta

from django.contrib.auth.models import AnonymousUser
from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from cdp.access.keys import api_key_of, source_of
from cdp.access.models import ApiKey

_USED_EVERY = timedelta(hours=1)


class ApiKeyAuthentication(BaseAuthentication):
    """Sets `request.auth` to the ApiKey. Raises AuthenticationFailed (401) for a key that is not known."""

    def authenticate(self, request: Request) -> tuple[AnonymousUser, ApiKey] | None:
        """The key of the request, or None when it carries none."""
        secret = _secret(request)
        if secret is None:
            return None
        key = api_key_of(secret)
        if key is None:
            if source_of(secret) is not None:
                message = "This is a write key: it sends events to /v1/. Use an API key here."
                raise AuthenticationFailed(message, code="write_key")
            raise AuthenticationFailed(
                "This API key is not known, was revoked or has expired.",
                code="invalid_key",
            )
        _note_use(key)
        return AnonymousUser(), key

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002 - the framework's interface
        """What a 401 asks for."""
        return 'Bearer realm="api"'


class ApiKeyScheme(OpenApiAuthenticationExtension):
    """The two headers in the OpenAPI document."""

    target_class = ApiKeyAuthentication
    name = ["bearerKey", "headerKey"]  # noqa: RUF012 - as the base class has it

    def get_security_requirement(self, auto_schema: object) -> list[dict[str, list[str]]]:  # noqa: ARG002
        """Either of the two."""
        return [{name: []} for name in self.name]

    def get_security_definition(self, auto_schema: object) -> list[dict[str, str]]:  # noqa: ARG002
        """One definition per name."""
        return [{"type": "http", "scheme": "bearer"}, {"type": "apiKey", "in": "header", "name": "X-API-Key"}]


def _secret(request: Request) -> str | None:
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return secret.strip()
    return request.headers.get("X-API-Key")


def _note_use(key: ApiKey) -> None:
    """Keep when the key was used last, to the hour."""
    now = timezone.now()
    if key.last_used_at is None or key.last_used_at < now - _USED_EVERY:
        key.last_used_at = now
        ApiKey.objects.filter(pk=key.pk).update(last_used_at=now)
