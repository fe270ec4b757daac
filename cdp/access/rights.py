"""What the caller of a request may see and do, whether a key or a person who signed in: decided here alone.

A value is public, internal, personal or sensitive (the trait catalogue says which). The first two are for everybody who
may read; the others need the right of their name, from a role or from the key. A role may be granted or denied single
fields beside that (`FieldRight`).
"""

import re
import time

import msgspec
from django.contrib.auth.models import Group
from django.http import HttpRequest
from rest_framework.request import Request

from cdp.access.keys import SCOPES
from cdp.access.models import PROTECTED, ApiKey, FieldRight

_CLEAR = frozenset({"read", "write", "admin"})
_PHONE = re.compile(r"\+?(?:\d[ ()./-]?){6,18}\d")
_KEEP_SECONDS = 5.0

_kept: tuple[float, list[tuple[str, str, str]]] | None = None


class Rights(msgspec.Struct, frozen=True):
    """What the holder sees in clear, and may do; `actor` is `key:<id>`, `user:<id>` or `nobody`.

    `granted` and `denied` are fields that are decided by themselves; what is in both is denied.
    """

    sees_personal: bool
    scopes: frozenset[str]
    actor: str
    sees_sensitive: bool = False
    granted: frozenset[str] = frozenset()
    denied: frozenset[str] = frozenset()

    def sees(self, field: str, classification: str) -> bool:
        """Whether the holder sees what is in `field` in clear."""
        if field in self.denied:
            return False
        if field in self.granted or classification not in PROTECTED:
            return True
        return self.sees_sensitive if classification == "sensitive" else self.sees_personal

    @property
    def sees_something(self) -> bool:
        """Whether there is protected data that the holder sees in clear: then what is shown is recorded."""
        return self.sees_personal or self.sees_sensitive or bool(self.granted)

    @property
    def sees_all(self) -> bool:
        """Whether nothing is masked for the holder, whatever it is: what they need where nothing can be masked."""
        return self.sees_personal and self.sees_sensitive and not self.denied


EVERYTHING = Rights(True, frozenset(), "nobody", sees_sensitive=True)
NOTHING = Rights(False, frozenset(), "nobody")


def rights_of(request: HttpRequest | Request) -> Rights:
    """The rights of whoever sent `request`, in the API as in the admin.

    A key sees what its role sees, or what its classifications say, when one of its scopes is read, write or admin; a
    person what their permissions `access.view_personal` and `access.view_sensitive` say.
    """
    key = getattr(request, "auth", None)
    if isinstance(key, ApiKey):
        return _of_key(key)
    user = request.user
    if not user.is_authenticated:
        return NOTHING
    sees = {name: user.has_perm(f"access.view_{name}") for name in PROTECTED}
    granted = {
        "ingest": user.has_perm("access.write_data"),
        "read": sees["personal"] and user.has_perm("profiles.view_profile"),
        "read_masked": user.has_perm("profiles.view_profile"),
        "write": user.has_perm("access.write_data"),
        "admin": user.is_superuser,
    }
    rights = Rights(
        sees["personal"],
        frozenset(scope for scope, given in granted.items() if given),
        f"user:{user.pk}",
        sees_sensitive=sees["sensitive"],
    )
    return _with_exceptions(rights)


def roles_of(rights: Rights) -> frozenset[str] | None:
    """The groups that the holder is in, a key's role; None is as good as all: superusers and the scope admin."""
    if "admin" in rights.scopes:
        return None
    kind, _, number = rights.actor.partition(":")
    if kind not in ("user", "key"):
        return frozenset()
    groups = Group.objects.filter(**{"user" if kind == "user" else "api_keys": int(number)})
    return frozenset(groups.values_list("name", flat=True))


def forget_exceptions() -> None:
    """Read the exceptions for fields again at the next question: after an edit in this process."""
    global _kept  # noqa: PLW0603 - a cache of one value
    _kept = None


def masked(value: object, *, name: bool = False) -> str:
    """A value for those who may not see it: `j***@e***.com`, `+370***45`; the first letter when it is a `name`.

    Of everything else nothing is told: the first letter of a yes or of a diagnosis would say all.
    """
    text = value.strip() if isinstance(value, str) else ""
    local, at, domain = text.rpartition("@")
    if at and local and "." in domain and not any(letter.isspace() for letter in text):
        return f"{local[0]}***@{domain[0]}***.{domain.rpartition('.')[2]}"
    if text.startswith("+") and _PHONE.fullmatch(text):
        digits = [letter for letter in text if letter.isdecimal()]
        return f"+{''.join(digits[:3])}***{''.join(digits[-2:])}"
    return f"{text[:1]}***" if name and len(text) > 1 else "***"


def _of_key(key: ApiKey) -> Rights:
    scopes = frozenset(SCOPES if "admin" in key.scopes else key.scopes)
    sees = key.sees if scopes & _CLEAR else frozenset()
    rights = Rights("personal" in sees, scopes, f"key:{key.pk}", sees_sensitive="sensitive" in sees)
    return _with_exceptions(rights) if scopes & _CLEAR else rights


def _with_exceptions(rights: Rights) -> Rights:
    """`rights` with the exceptions of the holder's groups: a query for them only when there are any at all."""
    exceptions = _exceptions()
    groups = roles_of(rights) if exceptions else None
    if groups is None:
        return rights
    mine = [(field, kind) for group, field, kind in exceptions if group in groups]
    return msgspec.structs.replace(
        rights,
        granted=frozenset(field for field, kind in mine if kind == FieldRight.Kind.SEE),
        denied=frozenset(field for field, kind in mine if kind == FieldRight.Kind.MASK),
    )


def _exceptions() -> list[tuple[str, str, str]]:
    """(group, field, kind) of all exceptions, read again every few seconds."""
    global _kept  # noqa: PLW0603
    now = time.monotonic()
    if _kept is None or now - _kept[0] > _KEEP_SECONDS:
        _kept = now, list(FieldRight.objects.order_by().values_list("group__name", "field", "kind"))
    return _kept[1]
