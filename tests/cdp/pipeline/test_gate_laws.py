"""Whatever the order of statements, events, expiries, merges and unmerges, and however the inbox is cut into batches:

nothing is stored that a naive fold of the ledger forbids at that moment, and all else is.
"""

import itertools
import uuid
from collections import Counter as Tally
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from django.conf import settings as product
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from cdp.access.models import Source
from cdp.access.source import SourceRef
from cdp.consents import ledger
from cdp.consents.ledger import record_consent
from cdp.consents.models import ConsentRecord, GateRule
from cdp.consents.state import ConsentState, consents_of
from cdp.core.clock import HOUR, MINUTE, SECOND, iso, now_us
from cdp.events.models import Event
from cdp.identities.lookup import find_person
from cdp.identities.models import Identifier
from cdp.pipeline import merge as merging
from cdp.pipeline import process
from cdp.pipeline.accept import accept
from cdp.pipeline.lease import forget_lease
from cdp.pipeline.message import PRIVACY_CONTROL
from cdp.pipeline.models import Counter, InboxMessage
from cdp.profiles.models import KeepApart, Merge, Profile
from cdp.profiles.people import fragment_ids

pytestmark = pytest.mark.django_db

PURPOSES = ("DATA_PROCESSING", "ANALYTICS_TRACKING", "PERSONALIZATION", "THIRD_PARTY_SHARING")
ALLOWED_UNKNOWN = {"DATA_PROCESSING", "ANALYTICS_TRACKING"}
NO_SHRINK = (Phase.explicit, Phase.reuse, Phase.generate)
_FATES = ("processed", "consent", "redacted")
_runs = itertools.count()


@dataclass(frozen=True)
class Sent:
    """An event: who it names, what it says of consent, whether it was made some minutes earlier than it came."""

    user: int | None
    visitor: int | None
    browser: bool
    call: str
    prefs: tuple[tuple[str, bool], ...] = ()
    gpc: bool = False
    late: int = 0


@dataclass(frozen=True)
class Stated:
    """A statement through the API; `hours` until it expires."""

    who: str
    purpose: str
    granted: bool
    hours: int | None


@dataclass(frozen=True)
class Joined:
    """An explicit merge."""

    one: str
    other: str


@dataclass(frozen=True)
class Parted:
    """The undoing of one of the active merges."""

    which: int


@dataclass(frozen=True)
class Passed:
    """Time goes by."""

    hours: int


IDS = ["u0", "u1", "a0", "a1", "a2"]
PREFS = st.lists(st.tuples(st.sampled_from(PURPOSES), st.booleans()), max_size=1, unique_by=lambda pair: pair[0]).map(
    tuple
)
EVENTS = st.one_of(
    st.builds(
        Sent,
        user=st.sampled_from([None, 0, 1]),
        visitor=st.sampled_from([0, 1, 2]),
        browser=st.just(False),
        call=st.sampled_from(["identify", "Plain", "Personal"]),
        prefs=PREFS,
        gpc=st.booleans(),
        late=st.sampled_from([0, 0, 0, 90]),
    ),
    st.builds(
        Sent,
        user=st.none(),
        visitor=st.sampled_from([0, 1, 2]),
        browser=st.just(True),
        call=st.sampled_from(["identify", "Plain", "Personal"]),
        prefs=PREFS,
        gpc=st.booleans(),
        late=st.sampled_from([0, 0, 0, 90]),
    ),
)
STEPS = st.lists(
    st.one_of(
        st.lists(EVENTS, min_size=1, max_size=6),
        st.builds(
            Stated,
            who=st.sampled_from(IDS),
            purpose=st.sampled_from(PURPOSES),
            granted=st.booleans(),
            hours=st.sampled_from([None, 1, 3]),
        ),
        st.builds(Joined, one=st.sampled_from(IDS), other=st.sampled_from(IDS)),
        st.builds(Parted, which=st.integers(0, 3)),
        st.builds(Passed, hours=st.integers(1, 3)),
    ),
    min_size=1,
    max_size=9,
)
FIRST = [
    *(Sent(user=n, visitor=None, browser=False, call="identify") for n in (0, 1)),
    *(Sent(user=None, visitor=n, browser=True, call="identify") for n in (0, 1, 2)),
]
"""Everybody is somebody of their own before anything happens."""
BEGIN = st.lists(
    st.builds(
        Stated,
        who=st.sampled_from(IDS),
        purpose=st.sampled_from(["PERSONALIZATION", "ANALYTICS_TRACKING"]),
        granted=st.booleans(),
        hours=st.sampled_from([None, None, 2]),
    ),
    min_size=2,
    max_size=8,
)


@dataclass
class Run:
    """One installation's worth of identifiers, lived through step by step; batches of `size`."""

    size: int
    judge: bool = False
    name: str = field(default_factory=lambda: f"r{next(_runs)}-{uuid.uuid4().hex[:6]}")
    now: int = 0
    ticks: int = 0
    fates: list[str] = field(default_factory=list)
    sources: dict[bool, SourceRef] = field(default_factory=dict)

    def start(self) -> None:
        self.now = now_us() - 100 * HOUR
        InboxMessage.objects.all().delete()  # of an example that failed
        for kind in (False, True):
            row = Source.objects.create(name=f"{self.name}-{kind}", kind="browser" if kind else "server")
            self.sources[kind] = SourceRef.of(row)

    def clock(self) -> int:
        """The time, a millisecond later each time it is asked for: no two transactions are of the same moment."""
        self.ticks += 1
        return self.now + self.ticks * SECOND // 1000

    def person(self, who: str) -> Profile | None:
        return find_person("user_id" if who[0] == "u" else "anonymous_id", f"{self.name}-{who}")

    def fragments(self) -> list[int]:
        people = {found.pk for who in IDS if (found := self.person(who)) is not None}
        return list(Profile.objects.filter(person_id__in=people).values_list("pk", flat=True))

    def act(self, step: Any) -> None:
        self.now, self.ticks = self.now + MINUTE, 0
        if isinstance(step, list):
            self.send(step)
        elif isinstance(step, Stated):
            person = self.person(step.who)
            if person is not None:
                until = self.now + step.hours * HOUR if step.hours and step.granted else None
                record_consent(person.pk, step.purpose, granted=step.granted, at=self.now, expires_at=until)
        elif isinstance(step, Joined):
            one, other = self.person(step.one), self.person(step.other)
            if one is not None and other is not None and one != other:
                merging.merge_people(one.public_id, [other.public_id], strategy="latest", actor="test")
        elif isinstance(step, Parted):
            merges = Merge.objects.filter(active=True, target__in=self.fragments()).order_by("id")
            if merges:
                merging.unmerge(merges[step.which % len(merges)].public_id, actor="test")
        else:
            self.now += step.hours * HOUR

    def send(self, events: list[Sent]) -> None:
        arrived = []
        for event in events:
            self.now += SECOND
            [outcome] = accept(
                [msgspec.json.encode(self.message(event))],
                source=self.sources[event.browser],
                received=self.now,
                flags=PRIVACY_CONTROL if event.gpc else 0,
            )
            assert outcome.status == "accepted"
            arrived.append((event, outcome.digest, self.now))
        self.now += SECOND
        if not self.judge:
            while process.process_batch(self.size):
                pass
        for event, digest, received in arrived:
            expected = self.verdict(event, received) if self.judge else None
            if self.judge:
                assert process.process_batch(1) == 1
            stored = Event.objects.filter(digest=digest).first()
            fate = "dropped" if stored is None else "stored" if stored.profile_id else "redacted"
            assert expected in (None, fate), (event, self.fates)
            self.fates.append(fate)

    def message(self, event: Sent) -> dict[str, Any]:
        made: dict[str, Any] = {
            "type": "identify" if event.call == "identify" else "track",
            "event": event.call,
            "messageId": f"{self.name}-{len(self.fates)}-{self.now}",
            "timestamp": iso(self.now // 1000 * 1000 - event.late * MINUTE),
            "context": {"consent": {"categoryPreferences": dict(event.prefs)}},
        }
        for key, number, letter in (("userId", event.user, "u"), ("anonymousId", event.visitor, "a")):
            if number is not None:
                made[key] = f"{self.name}-{letter}{number}"
        return made

    def verdict(self, event: Sent, received: int) -> str:
        """What must become of an event that is processed next, told naively from the rows as they are."""
        people = self.people_of(event)
        folds = [fold(person, self.clock()) for person in people]
        at = (received // 1000 * 1000) - event.late * MINUTE
        said = dict(event.prefs) | ({"THIRD_PARTY_SHARING": False} if event.gpc else {})
        known: dict[str, bool] = {}
        for purpose in PURPOSES:
            states = [one[purpose] for one in folds if purpose in one]
            if states:
                withdrawn = any(not state.granted and state.expires_at is None for state in states)
                granted = any(state.granted for state in states)
                newest = max(states, key=lambda state: state.at)
                known[purpose] = newest.granted and not (withdrawn and granted)
            if purpose not in said:
                continue
            latest = max((time for person in people for time in told(person, purpose)), default=None)
            if latest is not None and at < latest:
                continue
            if (
                said[purpose]
                and event.browser
                and states
                and not known[purpose]
                and not self.own(event, people, purpose)
            ):
                continue
            known[purpose] = said[purpose]
        for purpose, hit, fate in (
            ("DATA_PROCESSING", True, "dropped"),
            ("ANALYTICS_TRACKING", event.browser and event.call != "identify", "dropped"),
            ("PERSONALIZATION", event.call == "Personal", "redacted"),
        ):
            if hit and not known.get(purpose, purpose in ALLOWED_UNKNOWN):
                return fate
        return "stored"

    def own(self, event: Sent, people: list[Profile], purpose: str) -> bool:
        """Whether what stands in the way was carried by an event of the profile that has the event's anonymous id.

        A grant that has run out stands in nobody's way.
        """
        [person] = people
        state = fold(person, self.clock())[purpose]
        if state.expires_at is not None and state.cause != "merge":
            return True
        row = max(rows_of(person, purpose), key=lambda row: (row.at, row.pk))
        digests = product.KEYRING.digests("identifier", f"anonymous_id\0\0{self.name}-a{event.visitor}")
        owners = Identifier.objects.filter(digest__in=digests, profile__in=fragment_ids(person.pk))
        return state.cause in ("gpc", "preferences") and row.profile_id == owners.get().profile_id

    def people_of(self, event: Sent) -> list[Profile]:
        """The people it names: the visitor's is left out if the two may not be one (IDENTITY.md rules 4, 9)."""
        user = None if event.user is None else self.person(f"u{event.user}")
        visitor = None if event.visitor is None else self.person(f"a{event.visitor}")
        if event.user is None or visitor is None or visitor == user:
            return [one for one in {user, visitor} if one is not None]
        theirs = user_ids(visitor)
        if user is None:
            return [] if theirs else [visitor]
        apart = KeepApart.objects.filter(lifted_at=None, first__person__in=(user, visitor))
        apart = apart.filter(second__person__in=(user, visitor))
        kept_apart = any(row.first.person_id != row.second.person_id for row in apart)
        return [user] if theirs or kept_apart else [user, visitor]

    def end(self) -> tuple[Any, ...]:
        """All that must not depend on how the inbox was cut: fates, whose what is, who allows what, the counters."""
        people: dict[int, set[str]] = {}
        states = {}
        for who in IDS:
            person = self.person(who)
            if person is not None:
                people.setdefault(person.pk, set()).add(who)
                states[who] = {purpose: state.granted for purpose, state in fold(person, self.clock()).items()}
        counts: Tally[str] = Tally()
        for source in self.sources.values():
            for outcome, number in Counter.objects.filter(source_id=source.id).values_list("outcome", "count"):
                counts[outcome] += number
        return self.fates, sorted(map(sorted, people.values())), states, dict(counts)


def user_ids(person: Profile) -> int:
    return Identifier.objects.filter(profile__person=person, type__code="user_id").count()


def rows_of(person: Profile, purpose: str) -> list[ConsentRecord]:
    """What the person, and not a merge, said of the purpose."""
    rows = ConsentRecord.objects.filter(profile__person=person, type=purpose).exclude(cause="merge")
    return list(rows)


def fold(person: Profile, now: int) -> dict[str, ConsentState]:
    """What the ledger says of the person."""
    return {state.type: state for state in consents_of(fragment_ids(person.pk), now=now)}


def told(person: Profile, purpose: str) -> list[int]:
    """When the person spoke of the purpose."""
    return [row.at for row in rows_of(person, purpose)]


@settings(
    max_examples=40,
    phases=NO_SHRINK,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    deadline=None,
)
@given(BEGIN, STEPS, st.integers(2, 4))
def test_the_gate_obeys_the_naive_fold_and_batches_do_not_matter(
    monkeypatch: pytest.MonkeyPatch, begin: list[Stated], steps: list[Any], size: int
) -> None:
    if not GateRule.objects.filter(purpose_id="PERSONALIZATION").exists():
        GateRule.objects.create(purpose_id="PERSONALIZATION", names=["Personal"], action="redact")
    ends = []
    for run in (Run(1, judge=True), Run(1000), Run(size)):
        forget_lease()
        run.start()
        with monkeypatch.context() as patch:
            for module in (process, merging, ledger):
                patch.setattr(module, "now_us", run.clock)
            for step in [FIRST, *begin, *steps]:
                run.act(step)
        ends.append(run.end())
        counts = ends[-1][-1]
        judged = sum(n for outcome, n in counts.items() if outcome.partition(":")[0] in _FATES)
        assert judged == counts.get("accepted", 0) == len(run.fates)
    assert ends[0] == ends[1] == ends[2]
