"""A key for everything, a fixed time, and two people."""

import pytest

from tests.calling import Api

NOW = "2026-05-01T12:00:00.000Z"


@pytest.fixture(autouse=True)
def _noon(db, time_machine):
    time_machine.move_to("2026-05-01T12:00:00Z", tick=False)


@pytest.fixture
def api() -> Api:
    return Api("admin", name="all")


@pytest.fixture
def masked_api() -> Api:
    return Api("read_masked", name="masked")


@pytest.fixture
def alice(api: Api) -> str:
    """The id of a person."""
    attributes = {"firstName": "Alice", "email": "alice@example.com", "country": "LT"}
    return str(api.post("profiles", {"externalIds": {"customerId": "alice"}, "attributes": attributes})[1]["id"])


@pytest.fixture
def bob(api: Api, alice: str, time_machine) -> str:
    """The id of another person, made after alice."""
    return str(api.post("profiles", {"userId": "bob", "email": "bob@example.com", "firstName": "Bob"})[1]["id"])
