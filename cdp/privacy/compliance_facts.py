"""What the compliance score is made of: counts, each from one query, without a value of anybody."""

from collections.abc import Collection

import msgspec
from django.contrib.auth.models import Group, Permission
from django.core.cache import cache
from django.db.models import Count, F, Q
from django.utils import timezone

from cdp.access.models import PROTECTED, ApiKey, AuditEntry, AuditHead, User
from cdp.core.clock import DAY
from cdp.core.errors import DomainError
from cdp.history.reading import database
from cdp.identities.models import SuppressedIdentifier
from cdp.privacy.deadlines import OPEN
from cdp.privacy.models import Erasure, LegalHold, PrivacyRequest, RetentionPolicy
from cdp.scoring.uncatalogued import uncatalogued_keys
from cdp.traits.models import TraitDefinition

YEAR = 365 * DAY
SOON = 7 * DAY
_KEEP_SECONDS = 600
_CLEAR = frozenset({"read", "write", "admin"})
_COVERED = """
    select count(distinct p.person_id) from profiles_profile p
    where exists (select 1 from consents_consentrecord c where c.profile_id = p.id)"""


class Facts(msgspec.Struct, frozen=True):
    """Counts at a moment. Requests and erasures are those of the last 365 days, but for what is open.

    `keys_unclassified` None: the history could not be read. `retained` are the subjects with an active policy that runs
    as it should, `retention_problems` those with an active policy that does not. Times are µs.
    """

    now: int
    answered: int = 0
    answered_late: int = 0
    open: int = 0
    open_soon: int = 0
    overdue: int = 0
    people: int = 0
    people_with_consents: int = 0
    keys_classified: int = 0
    keys_unclassified: int | None = 0
    retained: tuple[str, ...] = ()
    retention_problems: tuple[str, ...] = ()
    audit_verified_at: int | None = None
    audit_rows: int = 0
    audit_problem: str = ""
    audit_entries: bool = False
    erasures: int = 0
    erasures_proven: int = 0
    suppressed: int = 0
    held: int = 0
    users: int = 0
    users_clear: int = 0
    keys: int = 0
    keys_clear: int = 0


def facts(now: int) -> Facts:
    """The counts at `now` (µs): a constant number of queries; those that look at all data at most every 10 minutes."""
    head = AuditHead.objects.filter(pk=1).first()
    retained, problems = _retention(now)
    grown = cache.get_or_set("compliance", _grown, _KEEP_SECONDS)
    assert grown is not None
    people, with_consents, unclassified = grown
    return Facts(
        now=now,
        people=people,
        people_with_consents=with_consents,
        keys_classified=TraitDefinition.objects.count(),
        keys_unclassified=unclassified,
        retained=retained,
        retention_problems=problems,
        audit_verified_at=head.verified_at if head else None,
        audit_rows=head.verified_rows if head else 0,
        audit_problem=head.problem if head else "The row that says where the chain ends is missing.",
        audit_entries=AuditEntry.objects.exists(),
        suppressed=SuppressedIdentifier.objects.filter(lifted_at=None).count(),
        held=LegalHold.objects.filter(released_at=None).values("person_id").distinct().count(),
        **_requests(now),
        **_erasures(now),
        **_access(),
    )


def _grown() -> tuple[int, int, int | None]:
    """People, those of whom the ledger knows something, and keys without a line in the catalogue."""
    people = database().rows("select count(*) from profiles_profile where id = person_id")[0][0]
    with_consents = database().rows(_COVERED)[0][0]
    try:
        return people, with_consents, len(uncatalogued_keys())
    except (DomainError, OSError):
        return people, with_consents, None


def _requests(now: int) -> dict[str, int]:
    ended = Q(ended_at__isnull=False, ended_at__gt=now - YEAR) & ~Q(status=PrivacyRequest.Status.CANCELLED)
    waiting = Q(status__in=OPEN)
    counted: dict[str, int] = PrivacyRequest.objects.aggregate(
        answered=Count("id", filter=ended),
        answered_late=Count("id", filter=ended & Q(ended_at__gt=F("due_at"))),
        open=Count("id", filter=waiting),
        open_soon=Count("id", filter=waiting & Q(due_at__gte=now, due_at__lt=now + SOON)),
        overdue=Count("id", filter=waiting & Q(due_at__lt=now)),
    )
    return counted


def _erasures(now: int) -> dict[str, int]:
    """Those that ended, or have run for more than a day."""
    due = Q(started_at__gt=now - YEAR) & (Q(status=Erasure.Status.DONE) | Q(started_at__lt=now - DAY))
    counted: dict[str, int] = Erasure.objects.aggregate(
        erasures=Count("id", filter=due),
        erasures_proven=Count("id", filter=due & Q(status=Erasure.Status.DONE, receipt__isnull=False)),
    )
    return counted


def _retention(now: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The subjects whose active policies ran within three days (or are younger) without a problem, and the others."""
    policies = list(RetentionPolicy.objects.filter(active=True))
    broken = {policy.subject for policy in policies if not _runs(policy, now)}
    active = [subject for subject in RetentionPolicy.Subject.values if any(p.subject == subject for p in policies)]
    return tuple(s for s in active if s not in broken), tuple(s for s in active if s in broken)


def _runs(policy: RetentionPolicy, now: int) -> bool:
    return not policy.error and max(policy.last_run_at or 0, policy.changed_at) >= now - 3 * DAY


def _access() -> dict[str, int]:
    """Who may sign in or has a key, and who of them sees personal data in clear."""
    clear = Q(content_type__app_label="access", codename__in=[f"view_{name}" for name in PROTECTED])
    seeing = Permission.objects.filter(clear)
    roles = set(Group.objects.filter(permissions__in=seeing).values_list("pk", flat=True))
    users = User.objects.filter(is_active=True)
    who_see = Q(is_superuser=True) | Q(groups__in=roles) | Q(user_permissions__in=seeing)
    keys = list(ApiKey.objects.filter(revoked_at=None).exclude(expires_at__lte=timezone.now()))
    return {
        "users": users.count(),
        "users_clear": users.filter(who_see).distinct().count(),
        "keys": len(keys),
        "keys_clear": sum(_sees(key, roles) for key in keys),
    }


def _sees(key: ApiKey, roles: Collection[int]) -> bool:
    clear = bool(key.classifications) if key.role_id is None else key.role_id in roles
    return clear and bool(_CLEAR & set(key.scopes))
