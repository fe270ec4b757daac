"""No personal value of anybody is in any file of the lake: every column and every log entry is decoded."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from django.conf import settings

from cdp.history.compact import compact_events, compact_people_table
from cdp.history.erase import erase_deleted
from cdp.history.export import flush
from cdp.history.verify import verify
from cdp.identities.lookup import find_person
from cdp.privacy.erase import delete_at_once
from cdp.profiles.models import DeletedProfile
from tests.sending import message, send

pytestmark = pytest.mark.django_db

_FIRST = ["Ada", "Grace", "Margaret", "Katherine", "Dorothy", "Radia", "Barbara", "Frances", "Mary", "Annie"]
_LAST = ["Lovelace", "Hopper", "Hamilton", "Johnson", "Vaughan", "Perlman", "Liskov", "Allen", "Jackson", "Easley"]


class Person:
    """Somebody with every sort of personal value, each of them unlike anything else that is sent."""

    def __init__(self, n: int, chance: random.Random) -> None:
        self.first = f"{_FIRST[n % 10]}{chance.choice('xyz')}{n}"
        self.last = f"{_LAST[n % 10]}{chance.choice('xyz')}{n}"
        self.email = f"{self.first}.{self.last}@mail{n}.example.com".lower()
        self.phone = f"+370 6{chance.randrange(10**7):07}"
        self.card = _card(f"4{chance.randrange(10**14):014}")
        self.street = f"{_LAST[(n + 3) % 10]} Street {1000 + n}"
        self.born = f"19{50 + n % 40}-0{1 + n % 9}-1{n % 9}"
        self.user = f"user-{chance.randrange(10**9)}"

    def values(self) -> list[str]:
        """What nobody may find; telephone and card in every spelling."""
        digits = self.phone.replace(" ", "")
        spaced = " ".join(self.card[i : i + 4] for i in range(0, 16, 4))
        return [
            self.first, self.last, self.email, self.email.replace("@", "%40"), self.phone, digits, digits[1:],
            self.card, spaced, self.street, self.born, self.user,
        ]  # fmt: skip

    def messages(self, n: int) -> list[dict[str, Any]]:
        """What a careless site sends."""
        whole = f"{self.first} {self.last}"
        traits = {
            "email": self.email, "phone": self.phone, "firstName": self.first, "lastName": self.last, "name": whole,
            "birthday": self.born, "address": {"street": self.street, "city": "Vilnius", "country": "LT"},
            "plan": "pro", "contactEmail": self.email, "note": f"reach me at {self.email}",
            "mobile": self.phone.replace(" ", ""),
            "numbers": [self.phone], "website": f"https://x.org/?id={self.email}", "score": n, "card": int(self.card),
        }  # fmt: skip
        properties = {
            "revenue": 10 + n, "currency": "EUR", "category": "Books", "name": "The book", "customerName": whole,
            "billing": {"name": whole, "email": self.email, "city": "Kaunas", "zip": "01103", "street": self.street},
            "url": f"https://x.org/thanks?email={self.email}&utm_source=mail", "card_number": self.card,
            "sku": f"A-{n}", "paid with": f"card {' '.join(self.card[i : i + 4] for i in range(0, 16, 4))}",
            "user_id": self.user,
            "query": f"letters of {self.first}", "items": [{"for": whole}], "emails": [self.email], self.email: True,
            "remark": f"call {self.phone}", "path": f"/orders/{self.email}", "recipient_name": self.first,
        }  # fmt: skip
        context = {
            "ip": "203.0.113.77", "userAgent": f"Browser of {self.first}", "traits": traits,
            "page": {"url": f"https://x.org/a?q={self.first}", "referrer": f"https://y.org/?q={self.last}"},
            "device": {"id": self.user, "type": "ios", "name": f"Phone of {self.first}"},
            "campaign": {"source": "mail", "content": self.email},
        }  # fmt: skip
        return [
            message("identify", userId=self.user, traits=traits, context=context),
            message(event="Order Completed", userId=self.user, properties=properties, context=context),
            message("page", name=f"Account of {self.email}", userId=self.user, properties=properties, context=context),
            message("group", groupId=f"g{n}", userId=self.user, traits={"plan": "team", "email": self.email}),
            message("alias", userId=self.user, previousId=f"{self.user}-before"),
        ]


def _card(start: str) -> str:
    """`start` with the check digit of ISO/IEC 7812."""
    total = sum(sum(divmod(2 * int(d), 10)) if n % 2 == 0 else int(d) for n, d in enumerate(reversed(start)))
    return f"{start}{-total % 10}"


def decoded(folder: Path) -> Iterator[str]:
    """Every value of every file, as text: Parquet decoded, checkpoints too, log entries as they are."""
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".parquet":
            for row in pq.read_table(path, partitioning=None).to_pylist():
                yield json.dumps(row, default=_shown, ensure_ascii=False)
        elif path.is_file():
            yield path.read_text()


def _shown(value: object) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def test_nothing_of_a_population_is_in_any_file() -> None:
    chance = random.Random(11)
    people = [Person(n, chance) for n in range(30)]
    send(*(sent for n, person in enumerate(people) for sent in person.messages(n)))
    flush()
    send(*(sent for n, person in enumerate(people) for sent in person.messages(n)[:2]))
    flush()
    compact_events(everything=True)
    compact_people_table(everything=True)
    texts = list(decoded(Path(settings.LAKE_URL)))
    assert len(texts) > 400
    whole = "\n".join(texts)
    assert "Order Completed" in whole
    found = {value for person in people for value in person.values() if value in whole}
    assert found == set()
    assert verify().problems == []
    # What is left is of use: the plan, the city, the year of birth, the campaign.
    for kept in ("Vilnius", "birthYear", "context.campaign.source", "https://y.org/", "(withheld: looks personal)"):
        assert kept in whole


def test_nothing_of_a_deleted_person_is_left() -> None:
    send(*(message(event=f"by {name}", userId=name, properties={"mark": f"mark of {name}"}) for name in ("ada", "bob")))
    send(*(message("identify", userId=name, traits={"mark": f"trait of {name}"}) for name in ("ada", "bob")))
    flush()
    compact_people_table(everything=True)
    send(message("identify", userId="ada", traits={"mark": "later trait of ada"}))
    flush()
    ada = find_person("user_id", "ada")
    assert ada is not None
    delete_at_once([ada], actor="test")
    assert "of ada" in "\n".join(decoded(Path(settings.LAKE_URL)))
    assert erase_deleted() == 5
    whole = "\n".join(decoded(Path(settings.LAKE_URL)))
    assert ("of ada" in whole, "by ada" in whole) == (False, False)
    assert ("mark of bob" in whole, "trait of bob" in whole) == (True, True)
    assert list(DeletedProfile.objects.values_list("profile_id", flat=True)) == [ada.pk]
