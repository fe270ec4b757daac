"""What the lake has of people: rows of both tables, the files that held them, and the entries of the log."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from django.db import transaction

from cdp.core.errors import DomainError
from cdp.history.engine import local_engine
from cdp.history.erase import erase_deleted
from cdp.history.export import flush_people
from cdp.history.lease import LakeBusy
from cdp.history.tables import open_table, store_id
from cdp.history.tail import forget_tail
from cdp.lake.delta import EVENTS, PEOPLE
from cdp.lake.engine import FilesGone
from cdp.lake.errors import Overtaken
from cdp.pipeline.lease import database
from cdp.privacy.erase_work import Gone, Unreachable, Work, add, tally

if TYPE_CHECKING:
    pass

_SECONDS = 3600
T = TypeVar("T")


def forget_history(work: Work) -> None:
    """Their rows in both tables of the lake, the files that held them, and the entries of the log."""
    reached(flush_people)
    if not work.counted("lake"):
        counts = reached(lambda: lake_rows(work))
        with transaction.atomic():
            work.record(database(), "lake", counts, done=False)
    reached(lambda: erase_deleted(also=work.numbers))
    forget_tail()
    with transaction.atomic():
        work.record(database(), "lake", {})


def lake_rows(work: Work) -> Gone:
    """How many rows of theirs both tables of the lake have. Raises what reading them raises."""
    import pyarrow as pa

    store, gone = store_id(), Gone()
    wanted = pa.table({"profile": pa.array(work.numbers, pa.int64())})
    for kind in (EVENTS, PEOPLE):
        table = open_table(kind, store=store)
        if table is None or not table.files():
            continue
        session = local_engine().session()
        try:
            rows, people = session.rows("rows", table.dataset()), session.rows("people", wanted)
            column = "profile" if kind is EVENTS else "person"
            mine = rows.select(profile=rows[column]).semi_join(people, "profile")
            found: pa.Table = pa.Table.from_batches(
                list(session.run(mine.group_by("profile").agg(n=mine.count()), seconds=_SECONDS)),
                pa.schema([("profile", pa.int64()), ("n", pa.int64())]),
            )
        finally:
            session.close()
        pairs = zip(found["profile"].to_pylist(), found["n"].to_pylist(), strict=True)
        add(gone, tally(pairs, work.owner, f"lake {kind.name}"))
    return gone


def unreadable() -> tuple[type[Exception], ...]:
    """What reading or writing the lake raises when its files are not there, damaged, or not ours to write."""
    from deltalake.exceptions import DeltaError
    from duckdb import Error
    from pyarrow import ArrowException

    return OSError, DeltaError, Error, ArrowException, FilesGone


def reached(act: Callable[[], T]) -> T:
    """What `act` gives. Raises Unreachable when the lake cannot be read or written, or is another's for now."""
    try:
        return act()
    except (LakeBusy, Overtaken) as error:
        raise Unreachable(f"The lake is being written: {error.message}") from error
    except DomainError as error:
        raise Unreachable(f"The lake: {error.message}") from error
    except unreadable() as error:
        raise Unreachable(f"The lake cannot be read or written ({type(error).__name__}).") from error
