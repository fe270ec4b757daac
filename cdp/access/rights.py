"""What the caller of a request may see and do, whether a key or a person who signed in."""

import msgspec
from django.http import HttpRequest
from rest_framework.request import Request

from cdp.access.keys import SCOPES
from cdp.access.models import ApiKey

_CLEAR = frozenset({"read", "write", "admin"})


class Rights(msgspec.Struct, frozen=True):
    """`sees_personal`: personal values in clear; `actor` is `key:<id>`, `user:<id>` or `nobody`."""

    sees_personal: bool
    scopes: frozenset[str]
    actor: str


def rights_of(request: HttpRequest | Request) -> Rights:
    """The rights of whoever sent `request`, in the API as in the admin.

    A key sees personal values when one of its scopes is read, write or admin; a person with `access.view_personal`.
    """
    key = getattr(request, "auth", None)
    if isinstance(key, ApiKey):
        scopes = frozenset(SCOPES if "admin" in key.scopes else key.scopes)
        return Rights(bool(scopes & _CLEAR), scopes, f"key:{key.pk}")
    user = request.user
    if not user.is_authenticated:
        return Rights(False, frozenset(), "nobody")
    sees = user.has_perm("access.view_personal")
    granted = {
        "ingest": user.has_perm("access.write_data"),
        "read": sees and user.has_perm("profiles.view_profile"),
        "read_masked": user.has_perm("profiles.view_profile"),
        "write": user.has_perm("access.write_data"),
        "admin": user.is_superuser,
    }
    return Rights(sees, frozenset(scope for scope, given in granted.items() if given), f"user:{user.pk}")


def masked(value: str) -> str:
    """A personal value for those who may not see it: `j***@e***.com`, `J***`."""
    text = str(value).strip()
    local, at, domain = text.rpartition("@")
    if at and local and "." in domain:
        return f"{local[0]}***@{domain[0]}***.{domain.rpartition('.')[2]}"
    return f"{text[:1]}***"
