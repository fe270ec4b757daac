"""What rules ask about personal data: answered in the operational store, as ids of people (the lake has none of it).

E-mail addresses, phone numbers and user ids are found by their blind index. Other personal fields (names, addresses,
what the catalogue calls personal or sensitive) are opened and compared, `PAGE` people at a time: right, and as slow as
opening every trait document is when everybody is looked at.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from django.conf import settings

from cdp.core.bulk import Database
from cdp.history.reading import database
from cdp.identities.lookup import current_rules
from cdp.identities.rules import Rules, digests
from cdp.lake.rules.tree import Moment, PersonalLeaf
from cdp.traits.document import open_document
from cdp.traits.golden import GoldenRecord, edges_of, fold

if TYPE_CHECKING:
    import pyarrow as pa

PAGE = 2_000
_IDENTIFIERS = {"email": "email", "phone": "phone", "phoneNumber": "phone", "phone_number": "phone",
                "userId": "user_id", "user_id": "user_id", "customerId": "user_id"}  # fmt: skip
FIELDS = frozenset(_IDENTIFIERS)
"""Personal fields that are answered by identifiers."""

_BY_DIGEST = """
    select distinct p.person_id from identities_identifier i join profiles_profile p on p.id = i.profile_id
    where i.digest {in}"""
_HAVING = """
    select distinct p.person_id from identities_identifier i join profiles_profile p on p.id = i.profile_id
    join identities_identifiertype t on t.id = i.type_id where t.code = ?"""
_DOCUMENTS = """
    select p.person_id, p.id, d.body from profiles_profile p left join traits_traitdocument d on d.profile_id = p.id
    where p.person_id {in} order by p.id"""
_PEOPLE = "select id from profiles_profile where id = person_id and id > ? order by id limit ?"


def personal_tables(
    leaves: Iterable[PersonalLeaf], *, now: int, people: Sequence[int] | None = None
) -> "dict[PersonalLeaf, pa.Table]":
    """For each leaf the people (column `person`) it holds for at `now` (µs), among `people` if given.

    One query for each leaf about an identifier; one or two for each page of people for all the others together.
    """
    import pyarrow as pa

    wanted = list(dict.fromkeys(leaves))
    if not wanted:
        return {}
    db = database()
    rules = current_rules()
    found = {leaf: _by_identifier(db, rules, leaf) if leaf.field in _IDENTIFIERS else set() for leaf in wanted}
    compared = {
        leaf: frozenset(_comparable(_plain(value)) for value in leaf.values)
        for leaf in wanted
        if leaf.field not in _IDENTIFIERS
    }
    for record_of in _records(db, people, now=now) if compared else ():
        for person, record in record_of.items():
            for leaf, asked in compared.items():
                if _holds(record, leaf, asked):
                    found[leaf].add(person)
    only = None if people is None else set(people)
    return {
        leaf: pa.table({"person": pa.array(sorted(ids if only is None else ids & only), pa.int64())})
        for leaf, ids in found.items()
    }


def _by_identifier(db: Database, rules: Rules, leaf: PersonalLeaf) -> set[int]:
    """Whoever owns such an identifier."""
    code = _IDENTIFIERS[leaf.field]
    if leaf.operator == "exists":
        return {row[0] for row in db.rows(_HAVING, (code,))}
    kind = rules.kinds[code]
    spelled = [text for value in leaf.values if (text := rules.spelling(kind, str(_plain(value)))) is not None]
    wanted = [digest for text in spelled for digest in digests(settings.KEYRING, kind, "", text)]
    return {row[0] for row in db.rows_in(_BY_DIGEST, wanted, "bytea")}


def _plain(value: Any) -> Any:
    return value.text if isinstance(value, Moment) else value


def _comparable(value: Any) -> Any:
    """Numbers compare as numbers, times as times, and nothing with another type."""
    if isinstance(value, bool):
        return ("flag", value)
    if isinstance(value, int | float):
        return ("number", float(value))
    return ("text", value) if isinstance(value, str) else ("none", None)


def _holds(record: GoldenRecord, leaf: PersonalLeaf, asked: frozenset[Any]) -> bool:
    first, *rest = leaf.field.split(".")
    found = record.values.get(leaf.field) or record.values.get(first)
    if found is None:
        return False
    value = found.value
    for key in rest if leaf.field not in record.values else ():
        value = value.get(key) if isinstance(value, dict) else None
    if value is None:
        return False
    return leaf.operator == "exists" or _comparable(value) in asked


def _records(db: Database, people: Sequence[int] | None, *, now: int) -> Iterator[Mapping[int, GoldenRecord]]:
    """Golden records by person, a page at a time."""
    for page in _pages(db, people):
        documents: dict[int, dict[int, Any]] = {}
        for person, profile, body in db.rows_in(_DOCUMENTS, page, "bigint"):
            documents.setdefault(person, {})[profile] = open_document(body)
        merged = {profile: person for person, own in documents.items() if len(own) > 1 for profile in own}
        edges: dict[int, list[Any]] = {}
        for edge in edges_of(merged):
            edges.setdefault(merged[edge.source_id], []).append(edge)
        yield {person: fold(own, edges.get(person, ()), now=now) for person, own in documents.items()}


def _pages(db: Database, people: Sequence[int] | None) -> Iterator[Sequence[int]]:
    if people is not None:
        for start in range(0, len(people), PAGE):
            yield people[start : start + PAGE]
        return
    last = 0
    while page := [row[0] for row in db.rows(_PEOPLE, (last, PAGE))]:
        yield page
        last = page[-1]
