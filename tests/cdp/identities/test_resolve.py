"""The resolver in memory: every rule of IDENTITY.md by name, and the laws that hold for any messages."""

import itertools
import random
from collections import defaultdict

from hypothesis import given, settings
from hypothesis import strategies as st

from cdp.core.clock import DAY, HOUR
from cdp.identities.decisions import Decision, Use
from cdp.identities.resolve import Candidate, Population, Resolution, Resolver, over_limit
from cdp.identities.rules import MERGE_CAP, Kind

USER = Kind(1, "user_id", 10, 1, None, True, True, False)
EMAIL = Kind(2, "email", 20, 5, 365 * DAY, True, False, False)
ANON = Kind(6, "anonymous_id", 60, 5, 7 * DAY, True, True, False)
COOKIE = Kind(7, "cookie_id", 70, 5, 7 * DAY, True, True, False)
FREE = Kind(20, "card", 80, 10**6, None, True, True, False)
FREE_TOO = Kind(21, "badge", 90, 10**6, None, True, True, False)
KINDS = [USER, EMAIL, ANON, COOKIE, FREE, FREE_TOO]
PREFIX = {kind.code[0]: kind for kind in (USER, EMAIL, ANON, COOKIE, FREE)} | {"b": FREE_TOO, "k": COOKIE, "c": FREE}


class World:
    """A population, a resolver and the names of its identifiers: `u:alice` is a user id, `e:` an e-mail ...."""

    def __init__(self) -> None:
        self.population = Population(user_kind=USER.id)
        self.resolver = Resolver(self.population, KINDS, itertools.count(1))
        self.counter = itertools.count()

    def send(self, names: str, *, ts: int = 0, trusted: bool = True, cause: str = "inference") -> Resolution:
        self.last = [candidate(name, trusted=trusted) for name in names.split()]
        event = next(self.counter).to_bytes(16, "big")
        return self.resolver.resolve(self.last, ts=ts, event=event, trusted=trusted, cause=cause)

    def uses(self) -> dict[str, Use]:
        return {f"{c.kind.code[0]}:{c.value}": c.use for c in self.last}

    def person(self, name: str) -> int | None:
        owner = self.population.owner.get(candidate(name).digest)
        return None if owner is None else self.population.find(owner)

    def partition(self) -> set[frozenset[bytes]]:
        groups: dict[int, set[bytes]] = defaultdict(set)
        for digest, owner in self.population.owner.items():
            groups[self.population.find(owner)].add(digest)
        return {frozenset(group) for group in groups.values()}


def candidate(name: str, *, trusted: bool = True) -> Candidate:
    letter, _, value = name.partition(":")
    kind = PREFIX[letter]
    links = trusted or kind.browser_finds
    digest = f"{letter}{value}".encode().ljust(16, b"\0")
    return Candidate(kind, "", digest, value, value, links, Use.FOUND if links else Use.UNTRUSTED)


def test_rule_4_creates_attaches_and_merges():
    world = World()
    assert world.send("a:1") == Resolution(1, Decision.CREATED, True)
    assert world.send("u:alice a:1") == Resolution(1, Decision.ATTACHED, False)
    assert world.send("a:2") == Resolution(2, Decision.CREATED, True)
    assert world.send("u:alice a:2") == Resolution(1, Decision.MERGED, False)
    assert world.person("a:2") == world.person("u:alice") == 1
    assert [(m.target_id, m.source_id, m.cause) for m in world.population.merges] == [(1, 2, "inference")]


def test_rule_4_drops_the_cookie_of_another_user_and_gives_the_new_user_a_person():
    world = World()
    world.send("u:alice k:x")
    assert world.send("u:bob k:x") == Resolution(2, Decision.DEMOTED_CREATED, True)
    assert world.uses() == {"u:bob": Use.ADDED, "c:x": Use.OVER_LIMIT}
    assert world.person("k:x") == world.person("u:alice") == 1
    assert [(row.kind, row.rule) for row in world.population.log] == [
        ("create", "rule 4"),
        ("create", "rule 4"),
        ("demote", "over_limit"),
    ]


def test_rule_4_of_one_type_the_lexically_last_digest_goes_first():
    world = World()
    for n in range(5):
        world.send(f"u:alice a:{n}", ts=n * HOUR)
    world.send("u:alice a:x a:w", ts=6 * HOUR)
    assert world.uses() == {"u:alice": Use.FOUND, "a:w": Use.OVER_LIMIT, "a:x": Use.OVER_LIMIT}


def test_rule_1_the_window_is_of_event_time():
    world = World()
    for n in range(5):
        world.send(f"u:alice a:{n}", ts=n * DAY)
    assert world.send("u:alice a:5", ts=6 * DAY).decision is Decision.DEMOTED
    assert world.send("u:alice a:6", ts=8 * DAY).decision is Decision.ATTACHED
    assert world.send("u:alice a:7", ts=-30 * DAY).decision is Decision.ATTACHED


def test_rule_4_two_user_ids_never_end_up_in_one_person():
    world = World()
    world.send("u:alice e:shared")
    world.send("u:bob a:1")
    assert world.send("a:1 e:shared").decision is Decision.DEMOTED
    assert world.person("u:alice") != world.person("u:bob")
    assert world.person("a:1") == world.person("u:bob")


def test_rule_5_the_first_created_profile_is_the_person():
    world = World()
    world.send("c:1")
    world.send("c:2")
    world.send("c:3")
    world.send("c:3 c:2")
    world.send("c:2 c:1")
    assert {world.person("c:1"), world.person("c:2"), world.person("c:3")} == {1}
    assert world.population.moved() == {2: 1, 3: 1}


def test_rule_8_over_the_cap_the_event_is_kept_and_the_identity_work_skipped():
    world = World()
    world.send("u:alice c:0")
    world.population.people[1].merges = MERGE_CAP
    world.send("c:1")
    assert world.send("u:alice c:1") == Resolution(1, Decision.CAPPED, False)
    assert world.person("c:1") == 2
    assert world.population.log[-1].kind == "cap"


def test_rule_3_a_value_that_joins_too_many_people_is_held():
    world = World()
    for n in range(30):
        world.send(f"b:{n}", ts=n)
    for n in range(20):
        assert world.send(f"c:hub b:{n}", ts=n).decision in (Decision.ATTACHED, Decision.MERGED)
    assert world.send("c:hub b:20").decision is Decision.MERGED
    assert world.send("c:hub b:21").decision is Decision.ATTACHED
    assert world.uses() == {"c:hub": Use.QUARANTINED, "b:21": Use.FOUND}
    assert world.send("c:hub").decision is Decision.ATTACHED
    assert [digest for digest, _ in world.population.held] == [candidate("c:hub").digest]


def test_rule_9_people_kept_apart_stay_apart():
    world = World()
    world.send("e:a")
    world.send("a:b")
    world.population.apart[1].add(2)
    assert world.send("e:a a:b") == Resolution(1, Decision.DEMOTED, False)
    assert world.uses() == {"e:a": Use.FOUND, "a:b": Use.KEPT_APART}


def test_rule_12_alias_merges_or_is_refused():
    world = World()
    world.send("a:1")
    assert world.send("u:alice a:1", cause="alias").decision is Decision.ATTACHED
    world.send("u:bob a:2")
    assert world.send("u:alice a:2", cause="alias").decision is Decision.REFUSED
    assert world.population.log[-1].kind == "refuse"
    assert world.person("a:2") == world.person("u:bob")


def test_rule_13_a_browser_links_an_anonymous_profile_but_never_two_known_people():
    world = World()
    world.send("a:1", trusted=False)
    world.send("u:alice a:1", trusted=False)
    assert world.person("a:1") == world.person("u:alice")
    world.send("e:trusted a:2")
    assert world.send("u:alice a:2", trusted=False).decision is Decision.DEMOTED
    assert world.uses() == {"u:alice": Use.FOUND, "a:2": Use.UNTRUSTED}


def test_rule_13_an_email_from_a_browser_finds_nobody_and_blocks_nobody():
    world = World()
    world.send("a:thief e:victim", trusted=False)
    assert world.person("e:victim") is None
    world.send("u:victim e:victim")
    assert world.person("e:victim") == world.person("u:victim") == 2
    assert world.person("a:thief") == 1


def test_over_limit_counts_any_window():
    assert not over_limit([0, 1, 2, 3, 4], ANON)
    assert over_limit([0, 1, 2, 3, 4, 5], ANON)
    assert not over_limit([0, 1, 2, 3, 4, 7 * DAY], ANON)
    assert over_limit([0, 1, 2, 3, 4, 7 * DAY - 1], ANON)
    assert over_limit([0, 10**18], USER)


free_messages = st.lists(
    st.sets(st.sampled_from([f"{letter}:{n}" for letter in "cb" for n in range(8)]), min_size=1, max_size=3),
    min_size=1,
    max_size=25,
)


@given(free_messages, st.randoms(use_true_random=False))
def test_any_order_gives_the_partition_that_the_messages_say(messages: list[set[str]], rng: random.Random) -> None:
    """Rule 9's law, against union-find as the oracle."""
    world = World()
    shuffled = [" ".join(sorted(message)) for message in messages]
    rng.shuffle(shuffled)
    world.resolver.population.joined.clear()
    for message in shuffled:
        world.send(message)
        world.population.joined.clear()  # the cap of rule 3 is another rule
    parent: dict[str, str] = {}

    def find(name: str) -> str:
        while parent.setdefault(name, name) != name:
            name = parent[name]
        return name

    for message in messages:
        first, *others = message
        find(first)
        for other in others:
            parent[find(other)] = find(first)
    groups = defaultdict(set)
    for name in parent:
        groups[find(name)].add(candidate(name).digest)
    assert world.partition() == {frozenset(group) for group in groups.values()}


limited_messages = st.lists(
    st.tuples(
        st.sets(st.sampled_from([f"{letter}:{n}" for letter in "ueak" for n in range(6)]), min_size=1, max_size=4),
        st.integers(0, 400).map(lambda day: day * DAY),
        st.booleans(),
    ),
    min_size=1,
    max_size=40,
)


@settings(max_examples=300)
@given(limited_messages)
def test_no_limit_is_ever_broken_and_every_event_has_a_profile(
    messages: list[tuple[set[str], int, bool]],
) -> None:
    world = World()
    for names, ts, trusted in messages:
        if not any(candidate(name, trusted=trusted).links for name in names):
            continue  # such a message goes to quarantine before it comes here
        resolution = world.send(" ".join(sorted(names)), ts=ts, trusted=trusted)
        assert resolution.profile_id in world.population.person
    for person_id, person in world.population.people.items():
        assert world.population.find(person_id) == person_id
        for (kind_id, _), times in person.times.items():
            kind = next(kind for kind in KINDS if kind.id == kind_id)
            assert not over_limit(times, kind)
