"""The catalogue of the tests, and answers of an engine as sets."""

from collections.abc import Iterable
from typing import Any

import ibis
import msgspec
import pyarrow as pa

from cdp.lake.rules.facts import facts
from cdp.lake.rules.parse import Catalogue, parse_aggregate
from cdp.lake.rules.tree import PersonalLeaf, Rule
from tests.cdp.lake.rules.generated import COMPUTED, PERSONAL, SEGMENTS, VOCABULARY
from tests.cdp.lake.rules.world import TYPED_PROPERTIES, TYPED_TRAITS

_PLAIN = Catalogue(
    traits=TYPED_TRAITS,
    personal=frozenset({"email"}),
    segments=frozenset(SEGMENTS),
    properties=TYPED_PROPERTIES,
    types=VOCABULARY,
    consents=frozenset({"MARKETING_EMAIL", "SMS"}),
)
CATALOGUE = msgspec.structs.replace(
    _PLAIN, computed={name: parse_aggregate(node, _PLAIN) for name, node in COMPUTED.items()}
)


def ids(people: Iterable[int]) -> Any:
    """A table with `person`."""
    return ibis.memtable(pa.table({"person": pa.array(sorted(people), pa.int64())}))


def personal_tables(trees: Iterable[Rule]) -> dict[PersonalLeaf, Any]:
    """The answers of the operational store."""
    leaves = {leaf for tree in trees for leaf in facts(tree).personal}
    return {leaf: ids(PERSONAL[leaf.field, leaf.operator]) for leaf in leaves}


def column_sets(table: pa.Table) -> dict[str, set[int]]:
    """Key → people for whom the column is true; none is null, and nobody comes twice."""
    rows = table.to_pylist()
    assert len({row["person"] for row in rows}) == len(rows)
    assert all(value is True or value is False for row in rows for key, value in row.items() if key != "person")
    return {key: {row["person"] for row in rows if row[key]} for key in table.column_names if key != "person"}
