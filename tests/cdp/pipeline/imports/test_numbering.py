"""Equal rows each count, and the ids are the same whatever was committed between."""

from collections import Counter
from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from cdp.pipeline.imports.mapping import ColumnMap
from cdp.pipeline.imports.messages import MessageMaker
from cdp.pipeline.imports.numbering import Numbering
from cdp.pipeline.imports.rows import BadRow, Row
from cdp.pipeline.imports.run import Ready, pass_by, prepared

ROWS = st.lists(
    st.one_of(
        st.builds(dict, id=st.sampled_from(["1", "2", ""]), x=st.sampled_from(["a", "b"])),
        st.just(None),
    ),
    max_size=40,
)
MAKER = MessageMaker(ColumnMap.parse("customers", ["id=userId"]), region="LT")


def lines(values):
    return [BadRow(n, "ragged", "") if row is None else Row(n, row) for n, row in enumerate(values, 2)]


def ids(values):
    with Numbering("import", "events") as numbering:
        return [numbering.of(row) for row in values if row is not None]


@given(ROWS)
def test_n_equal_rows_have_n_ids(values):
    assert len(set(ids(values))) == sum(row is not None for row in values)


@given(ROWS, st.randoms())
def test_the_order_of_different_rows_and_of_columns_does_not_matter(values, random):
    shuffled = [None if row is None else dict(reversed(row.items())) for row in values]
    random.shuffle(shuffled)
    assert Counter(ids(shuffled)) == Counter(ids(values))


@given(ROWS, st.lists(st.integers(1, 7), min_size=1, max_size=10), st.data())
def test_interrupted_anywhere_and_in_any_chunks_gives_the_same_messages(values, sizes, data):
    with Numbering("import", "customers") as numbering:
        whole = list(prepared(lines(values), MAKER, numbering))
    found = []
    while len(found) < len(values):
        rows = iter(lines(values))
        with Numbering("import", "customers") as numbering:
            assert pass_by(islice(rows, len(found)), numbering) == (len(found) + 1 if found else 0)
            ready = prepared(rows, MAKER, numbering)
            for _ in range(data.draw(st.integers(1, 4))):
                found += islice(ready, sizes[len(found) % len(sizes)])
    assert found == whole


def test_source_and_kind_keep_ids_apart():
    row = {"id": "1"}
    with Numbering("a", "events") as one, Numbering("b", "events") as two, Numbering("a", "customers") as three:
        assert len({one.of(row), two.of(row), three.of(row)}) == 3


def test_ids_do_not_change_between_versions():
    with Numbering("import", "events") as numbering:
        first, second = numbering.of({"b": "2", "a": "1"}), numbering.of({"a": "1", "b": "2"})
    assert first == "import-df1f980bb79f4a94eeb1f45bfa24d55345a6a2e9"
    assert second != first


def test_a_mapped_message_id_is_kept():
    maker = MessageMaker(ColumnMap.parse("customers", ["id=userId", "no=messageId"]), region="LT")
    with Numbering("import", "customers") as numbering:
        (ready,) = prepared([Row(2, {"id": "1", "no": "007"})], maker, numbering)
    assert ready == Ready(2, b'{"type":"identify","userId":"1","messageId":"007"}')
