"""IDENTITY.md rule 13: a signed token in `context.identityToken` makes the user id of a browser's message trusted."""

import pytest

from cdp.access.models import Source
from cdp.access.source import SourceRef
from cdp.core.clock import HOUR, now_us
from cdp.events.body import open_body
from cdp.events.models import Event
from cdp.identities.models import Identifier, IdentifierType
from cdp.profiles.models import Profile
from tests import factories as make
from tests.sending import message, send
from tests.shops import Shop, new_shop

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop(db: None) -> Shop:
    return new_shop()


@pytest.fixture
def page(shop: Shop) -> SourceRef:
    """The source that the pages of the shop send with."""
    return SourceRef.of(shop.row.source)


def identify(token: str, user: str = "u-1", anonymous: str = "a-1"):
    return message("identify", userId=user, anonymousId=anonymous, context={"identityToken": token, "locale": "lt"})


def trusted() -> dict[str, bool]:
    return {row.type.code: row.trusted for row in Identifier.objects.select_related("type")}


def test_the_user_id_is_trusted_and_the_anonymous_id_is_not(shop, page):
    send(identify(shop.token("u-1")), source=page)
    assert trusted() == {"user_id": True, "anonymous_id": False}
    assert Profile.objects.count() == 1


@pytest.mark.parametrize("case", ["no token", "another user's", "another shop's", "expired", "not a text"])
def test_what_proves_nothing_changes_nothing(case, shop, page):
    tokens = {
        "no token": "",
        "another user's": shop.token("u-2"),
        "another shop's": new_shop("Other").token("u-1"),
        "expired": shop.token("u-1", now=now_us() - 2 * HOUR),
        "not a text": ["v1"],
    }
    send(identify(tokens[case]), source=page)
    assert trusted() == {"user_id": False, "anonymous_id": False}


def test_counts_at_the_time_of_arrival(shop, page):
    """A message that waited in the inbox longer than its token was good is as good as it was."""
    arrived = now_us() - 3 * HOUR
    send(identify(shop.token("u-1", now=arrived)), source=page, received=arrived)
    assert trusted()["user_id"] is True


def test_finds_the_person_where_user_ids_of_browsers_do_not(shop, page):
    IdentifierType.objects.filter(code="user_id").update(browser_finds=False)
    person = make.profile()
    make.identifier(person, "user_id", "u-1")
    send(identify(shop.token("u-2"), anonymous="a-1"), source=page)
    send(identify(shop.token("u-1"), anonymous="a-2"), source=page)
    events = Event.objects.order_by("id").select_related("profile")
    assert [event.profile.person_id == person.pk for event in events] == [False, True]


def test_never_joins_two_known_people(shop, page):
    """Who has signed in is proven; whose the anonymous id was is not."""
    known = make.profile()
    make.identifier(known, "anonymous_id", "a-1")
    make.identifier(known, "email", "ada@example.com")
    other = make.profile()
    make.identifier(other, "user_id", "u-1")
    send(identify(shop.token("u-1")), source=page)
    known.refresh_from_db()
    other.refresh_from_db()
    assert known.person_id != other.person_id


def test_the_token_is_not_kept_with_the_event(shop, page):
    token = shop.token("u-1")
    send(identify(token), source=page)
    body = open_body(Event.objects.get().body)
    assert body.context == {"locale": "lt"}


def test_a_server_needs_none():
    server = SourceRef.of(make.source("crm", kind=Source.Kind.SERVER))
    send(identify("nonsense"), source=server)
    assert trusted() == {"user_id": True, "anonymous_id": True}
