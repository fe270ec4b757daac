"""Identifiers and traits that the API sets."""

import pytest

from cdp.access.models import Source
from cdp.access.source import SourceRef, api_source
from cdp.core.clock import now_us
from cdp.core.errors import Conflict, Invalid, NotFound
from cdp.identities.lookup import find_person, identifiers_of
from cdp.identities.models import IdentifierType, IdentityLog
from cdp.pipeline.identify import add_identifier, remove_identifier, set_primary, verify_identifier
from cdp.pipeline.people import create_profile
from cdp.pipeline.write_traits import TraitWrite, delete_trait, set_traits
from cdp.profiles.models import Profile
from cdp.traits.golden import golden
from tests.sending import message, send

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada() -> Profile:
    send(message("identify", userId="ada", traits={"email": "ada@old.example"}))
    person = find_person("user_id", "ada")
    assert person is not None
    return person


def test_an_identifier_is_added_found_and_said_more_about(ada: Profile):
    add_identifier(ada.public_id, "PHONE", "8 600 12345", provider="crm", actor="test")
    assert find_person("phone", "+370 600 12345") == ada
    add_identifier(ada.public_id, "phone", "+37060012345", metadata={"kind": "mobile"}, verified_at=5, actor="test")
    [phone] = [view for view in identifiers_of(ada.pk) if view.type == "phone"]
    assert (phone.value, phone.metadata, phone.verified_at, phone.trusted) == (
        "+37060012345",
        {"kind": "mobile"},
        5,
        True,
    )
    assert IdentityLog.objects.filter(kind="attach", actor="test").count() == 2


def test_what_is_kept_for_look_up_may_belong_to_many(ada: Profile):
    other = create_profile({}, source=api_source()).person
    for person in (ada, other):
        add_identifier(person.public_id, "IP_ADDRESS", "203.0.113.7", actor="test")
    assert find_person("ip_address", "203.0.113.7") in (ada, other)
    assert Profile.objects.filter(person=ada).count() == 1


def test_an_identifier_of_somebody_else_or_over_the_limit_is_a_conflict(ada: Profile):
    send(message("identify", userId="bob", traits={"email": "bob@x.example"}))
    with pytest.raises(Conflict) as taken:
        add_identifier(ada.public_id, "email", "bob@x.example", actor="test")
    assert taken.value.code == "identifier_taken"
    with pytest.raises(Conflict) as limit:
        add_identifier(ada.public_id, "user_id", "second", actor="test")
    assert limit.value.code == "over_limit"
    assert find_person("user_id", "second") is None


def test_wrong_types_and_values_are_told(ada: Profile):
    with pytest.raises(Invalid, match="Use one of"):
        add_identifier(ada.public_id, "fax", "1", actor="test")
    with pytest.raises(Invalid, match="blocked"):
        add_identifier(ada.public_id, "user_id", "NULL", actor="test")
    with pytest.raises(NotFound):
        verify_identifier(ada.public_id, "email", "nobody@x.example")


def test_a_verified_email_wins_in_the_golden_record(ada: Profile):
    verify_identifier(ada.public_id, "email", "ADA@old.example")
    send(message("identify", userId="ada", traits={"email": "ada@new.example"}))
    value = golden(ada.pk).values["email"]
    assert (value.value, value.verified) == ("ada@old.example", True)


def test_one_identifier_of_a_type_is_primary(ada: Profile):
    add_identifier(ada.public_id, "email", "ada@new.example", primary=True, actor="test")
    set_primary(ada.public_id, "email", "ada@old.example")
    assert {view.value: view.primary for view in identifiers_of(ada.pk) if view.type == "email"} == {
        "ada@old.example": True,
        "ada@new.example": False,
    }


def test_a_profile_is_created_or_found_by_what_identifies_it(ada: Profile):
    again = create_profile({"userId": "ada", "traits": {"city": "Vilnius"}}, source=api_source())
    assert (again.person, again.created) == (ada, False)
    assert golden(ada.pk).values["city"].value == "Vilnius"
    new = create_profile({"traits": {"email": "eve@x.example"}}, source=api_source())
    assert (new.person, new.created) == (find_person("email", "eve@x.example"), True)
    nameless = create_profile({"traits": {"city": "Riga"}}, source=api_source())
    assert nameless.created
    assert golden(nameless.person.pk).values["city"].value == "Riga"


def test_traits_are_set_expire_and_are_deleted(ada: Profile):
    set_traits(
        ada.public_id,
        [TraitWrite("score", 85, type="RISK", label="model"), TraitWrite("offer", "x", expires_at=now_us() - 1)],
        source=api_source(),
    )
    values = golden(ada.pk).values
    assert (values["score"].value, values["score"].type, values["score"].label) == (85, "RISK", "model")
    assert "offer" not in values
    delete_trait(ada.public_id, "score")
    assert "score" not in golden(ada.pk).values
    with pytest.raises(NotFound):
        delete_trait(ada.public_id, "score")
    with pytest.raises(Invalid):
        set_traits(ada.public_id, [TraitWrite("x", 1, type="ODD")], source=api_source())


def test_what_a_person_sets_wins_over_what_streams_in(ada: Profile):
    set_traits(ada.public_id, [TraitWrite("city", "Kaunas")], source=api_source())
    send(message("identify", userId="ada", traits={"city": "Riga"}))
    assert golden(ada.pk).values["city"].value == "Kaunas"


def test_rule_13_where_only_verified_values_find(ada: Profile):
    IdentifierType.objects.filter(code="email").update(verified_only=True)
    send(message("identify", userId="eve", traits={"email": "ada@old.example"}))
    assert find_person("user_id", "eve") != ada
    send(message("identify", anonymousId="x", traits={"email": "ada@old.example"}))
    assert find_person("anonymous_id", "x") != ada
    verify_identifier(ada.public_id, "email", "ada@old.example")
    send(message("identify", anonymousId="y", traits={"email": "ada@old.example"}))
    assert find_person("anonymous_id", "y") == ada


def test_verifying_what_a_browser_said_makes_it_find_unless_somebody_else_has_it(ada: Profile):
    source, _ = Source.objects.get_or_create(name="site", kind="browser")
    browser = SourceRef.of(source)
    send(message("identify", userId="eve", traits={"email": "eve@x.example"}), source=browser)
    send(message("identify", userId="eve", traits={"email": "ada@old.example"}), source=browser)
    eve = find_person("user_id", "eve")
    assert eve is not None
    verify_identifier(eve.public_id, "email", "eve@x.example")
    send(message("identify", anonymousId="z", traits={"email": "eve@x.example"}))
    assert find_person("anonymous_id", "z") == eve
    with pytest.raises(Conflict):
        verify_identifier(eve.public_id, "email", "ada@old.example")


def test_a_value_that_another_person_had_before_the_rule_was_tightened_is_a_conflict(ada: Profile):
    IdentifierType.objects.filter(code="email").update(verified_only=True)
    send(message("identify", userId="eve", traits={"email": "ada@old.example"}))
    eve = find_person("user_id", "eve")
    assert eve is not None
    with pytest.raises(Conflict) as taken:
        verify_identifier(eve.public_id, "email", "ada@old.example")
    assert taken.value.code == "identifier_taken"


def test_a_removed_identifier_finds_nobody_and_its_trait_goes(ada: Profile):
    described = Profile.objects.get(pk=ada.pk).described
    assert remove_identifier(ada.public_id, "EMAIL", "ADA@old.example", actor="test") == ["email"]
    assert find_person("email", "ada@old.example") is None
    assert [view.type for view in identifiers_of(ada.pk)] == ["user_id"]
    assert "email" not in golden(ada.pk).values
    assert Profile.objects.get(pk=ada.pk).described > described
    assert IdentityLog.objects.filter(kind="detach", actor="test", profile_id=ada.pk).count() == 1
    with pytest.raises(NotFound):
        remove_identifier(ada.public_id, "email", "ada@old.example", actor="test")
    send(message("identify", userId="eve", traits={"email": "ada@old.example"}))
    assert find_person("email", "ada@old.example") not in (None, ada)


def test_the_last_identifier_that_finds_somebody_stays(ada: Profile):
    remove_identifier(ada.public_id, "email", "ada@old.example", actor="test")
    add_identifier(ada.public_id, "IP_ADDRESS", "203.0.113.7", actor="test")
    with pytest.raises(Conflict) as last:
        remove_identifier(ada.public_id, "user_id", "ada", actor="test")
    assert last.value.code == "last_identity"
    remove_identifier(ada.public_id, "ip_address", "203.0.113.7", actor="test")
    assert find_person("user_id", "ada") == ada


def test_another_value_stays_with_its_trait(ada: Profile):
    add_identifier(ada.public_id, "email", "ada@new.example", actor="test")
    assert remove_identifier(ada.public_id, "email", "ada@new.example", actor="test") == []
    assert golden(ada.pk).values["email"].value == "ada@old.example"
