"""Packages that are prepared in the background: asked for, made by the worker, tried again.

A row that waits has the digest of its link and no key. Whoever makes it holds it for `LEASE`; when that process is gone
the sweep has it made again, and the file is begun anew.
"""

import logging

from django.db import transaction
from django.db.models import QuerySet

from cdp.access.audit import record_change
from cdp.core.clock import MINUTE, now_us
from cdp.core.errors import Conflict, DomainError
from cdp.core.holder import holder_name, is_gone
from cdp.privacy.models import AccessPackage
from cdp.privacy.package import fill_package, new_package
from cdp.privacy.wake import wake
from cdp.profiles.models import Profile

Status = AccessPackage.Status
LEASE = 30 * MINUTE
_log = logging.getLogger(__name__)


def ask_for_package(person: Profile, *, actor: str) -> tuple[AccessPackage, str]:
    """Have a package made with everything about the whole person; returns the row and the token of its link.

    The link works once the package is ready. Only the digest of the token is kept, so it cannot be shown again.
    """
    package, token = new_package(person, request=None, actor=actor)
    package.status = Status.PREPARING
    with transaction.atomic():
        package.save()
        wake()
    return package, token


def try_again(package: AccessPackage, *, actor: str) -> None:
    """Have a package that failed made again, behind the same link; recorded. Raises Conflict when it did not fail."""
    failed = AccessPackage.objects.filter(pk=package.pk, status=Status.FAILED)
    with transaction.atomic():
        if not failed.update(status=Status.PREPARING, problem="", asked_by=actor[:150], holder="", held_until=0):
            raise Conflict("Only a package that failed can be tried again.", code="wrong_status")
        record_change(
            actor, action="try again", object_type="accesspackage", object_ids=[package.public_id], fields=["status"]
        )
        wake()
    package.refresh_from_db()


def packages_wait() -> bool:
    """Whether `prepare_packages` would find something to do: one query."""
    return any(_is_free(row) for row in _waiting())


def prepare_packages() -> int:
    """Make the packages that wait and that no process that lives is at; returns how many are ready now.

    One that cannot be made is `failed`, with the reason, until somebody has it tried again.
    """
    return sum(_prepare(row) for row in _waiting() if _is_free(row) and _claim(row))


def _waiting() -> QuerySet[AccessPackage]:
    return AccessPackage.objects.filter(status=Status.PREPARING).order_by("id")


def _is_free(row: AccessPackage) -> bool:
    return row.held_until <= now_us() or is_gone(row.holder)


def _claim(row: AccessPackage) -> bool:
    """Whether this process has the row now: nobody else took it since it was read."""
    holder, until = holder_name(), now_us() + LEASE
    mine = _waiting().filter(pk=row.pk, holder=row.holder, held_until=row.held_until)
    if mine.update(holder=holder, held_until=until) != 1:
        return False
    row.holder, row.held_until = holder, until
    return True


def _prepare(row: AccessPackage) -> bool:
    """Make it; whether it is ready."""
    mine = _waiting().filter(pk=row.pk, holder=row.holder)

    def renew(_count: int) -> None:
        now = now_us()
        if row.held_until - now < LEASE - MINUTE:
            row.held_until = now + LEASE
            mine.update(held_until=row.held_until)

    def keep() -> None:
        done = mine.update(
            status=row.status, key=row.key, size=row.size, expires_at=row.expires_at, holder="", held_until=0
        )
        if not done:  # erased meanwhile, or another process has it
            raise Conflict("Another process makes this package, or nobody any more.", code="overtaken")

    try:
        person = Profile.objects.select_related("person").filter(pk=row.person_id).first()
        if person is None:
            mine.update(status=Status.FAILED, problem="The person was deleted.", holder="", held_until=0)
            return False
        fill_package(row, person, why="asked for by the API", keep=keep, progress=renew)
    except Conflict:
        mine.update(holder="", held_until=now_us() + MINUTE)
        return False
    except Exception as error:  # noqa: BLE001 - the next package must not wait for this one
        mine.update(status=Status.FAILED, problem=_reason(error), holder="", held_until=0)
        _log.error("An access package could not be made: %s", type(error).__name__)
        return False
    return True


def _reason(error: Exception) -> str:
    """In words, without anything of the person."""
    if isinstance(error, DomainError):
        return error.message[:200]
    if isinstance(error, OSError) and error.strerror:
        return f"It could not be written: {error.strerror}."[:200]
    return f"It was stopped by {type(error).__name__}."
