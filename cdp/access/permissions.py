"""What a caller needs for a method of a view. A view says it per method in `needs`; what is not said is denied."""

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from cdp.access.models import ApiKey
from cdp.access.rights import rights_of

# action → scopes of which a key needs one, permission that a person who signed in needs
ACTIONS: dict[str, tuple[frozenset[str], str]] = {
    "ingest": (frozenset({"ingest", "write", "admin"}), "access.write_data"),
    "read": (frozenset({"read", "read_masked", "admin"}), "profiles.view_profile"),
    "write": (frozenset({"write", "admin"}), "access.write_data"),
    "merge": (frozenset({"write", "admin"}), "access.merge_people"),
    "replay": (frozenset({"write", "admin"}), "access.replay_quarantine"),
}


class HasScope(BasePermission):
    """Lets a request through whose key has a scope, or whose user a permission, for what the view `needs`."""

    message = "This key or user has not the right for this."

    def has_permission(self, request: Request, view: Any) -> bool:
        """Whether the caller may use this method. OPTIONS is for everybody who is known."""
        method = "GET" if request.method == "HEAD" else str(request.method)
        known = isinstance(request.auth, ApiKey) or request.user.is_authenticated
        if not known:
            return False
        if method == "OPTIONS" or not hasattr(view, method.lower()):
            return True  # answered 200 and 405 by the framework
        action = getattr(view, "needs", {}).get(method)
        if action is None:
            return False
        scopes, permission = ACTIONS[action]
        if isinstance(request.auth, ApiKey):
            self.message = f"This needs a key with one of the scopes {', '.join(sorted(scopes))}."
            return bool(rights_of(request).scopes & scopes)
        self.message = f"This needs the permission {permission}."
        return bool(request.user.has_perm(permission))
