"""The admin pages of privacy, each in a file of its own."""

from cdp.privacy import (
    admin_erasures,
    admin_holds,
    admin_notices,
    admin_packages,
    admin_requests,
    admin_retention,
    admin_suppressed,
)

__all__ = [
    "admin_erasures",
    "admin_holds",
    "admin_notices",
    "admin_packages",
    "admin_requests",
    "admin_retention",
    "admin_suppressed",
]
