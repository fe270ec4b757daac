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
    "read_segments": (frozenset({"read", "read_masked", "admin"}), "segments.view_segment"),
    "define_segments": (frozenset({"write", "admin"}), "segments.change_segment"),
    "export_members": (frozenset({"read", "read_masked", "admin"}), "segments.export_members"),
    "audit": (frozenset({"admin"}), "access.view_auditentry"),
    "describe": (frozenset({"write", "admin"}), "traits.change_traitdefinition"),
    "read_privacy": (frozenset({"admin"}), "privacy.view_privacyrequest"),
    "privacy": (frozenset({"admin"}), "privacy.change_privacyrequest"),
    "take_out": (frozenset({"admin"}), "privacy.change_privacyrequest"),
    "erase": (frozenset({"admin"}), "privacy.add_erasure"),
    "read_suppressed": (frozenset({"admin"}), "identities.view_suppressedidentifier"),
    "lift_suppression": (frozenset({"admin"}), "identities.change_suppressedidentifier"),
    "replay": (frozenset({"write", "admin"}), "access.replay_quarantine"),
}

WHOLE = frozenset({"take_out"})
"""Actions that hand out what cannot be masked, such as a person's whole data: the caller must see everything."""


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
            allowed = bool(rights_of(request).scopes & scopes)
        else:
            self.message = f"This needs the permission {permission}."
            allowed = bool(request.user.has_perm(permission))
        if allowed and action in WHOLE and not rights_of(request).sees_all:
            self.message = "This cannot be masked: it needs the right to see personal and sensitive data."
            return False
        return allowed
