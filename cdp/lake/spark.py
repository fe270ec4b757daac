"""Spark: a local cluster, a master (`spark://…`) or Spark Connect (`sc://…`). It reads the same files by list.

Every machine of the cluster must reach the files under the same path or address. The driver and the cluster need
PySpark and Java 17; the product itself does not install them.
"""

import itertools
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cdp.lake.engine import FilesGone, QueryTooLong, as_schema
from cdp.lake.moment import Files

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pyarrow as pa

_ZONE = ("spark.sql.session.timeZone", "UTC")
_GONE = ("PATH_NOT_FOUND", "FileNotFoundException", "FILE_NOT_EXIST", "does not exist")
_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class Spark:
    """The engine at `url`. One Spark session per process; each snapshot has views of its own in it."""

    url: str

    def session(self) -> "SparkSessionOfOne":
        """Views of one snapshot; connects, or starts the local cluster, if this process has not yet."""
        return SparkSessionOfOne(_spark(self.url))


class SparkSessionOfOne:
    """The views of one snapshot in the process's Spark session."""

    texts_last = False

    def __init__(self, spark: Any) -> None:
        import ibis

        self._spark = spark
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # PySpark about pandas 3: Arrow is all that is used of it
            self._backend: Any = ibis.pyspark.connect(spark)
        self._mark = f"cdp_{next(_numbers)}_"
        self._made: set[str] = set()

    def files(self, name: str, files: Files) -> "ir.Table":
        """Parquet files by list, with the schema that the table has: no file is opened to find out."""
        from pyspark.sql.pandas.types import from_arrow_schema

        with _translated():
            reader = self._spark.read.schema(from_arrow_schema(files.schema))
            frame = reader.parquet(*files.places)
        return self._named(name, frame).select(*files.schema.names)

    def rows(self, name: str, rows: "pa.Table") -> "ir.Table":
        """Rows of this process, sent to the cluster."""
        from pyspark.sql.pandas.types import from_arrow_schema

        if rows.num_rows:
            frame = self._spark.createDataFrame(rows)
        else:
            frame = self._spark.createDataFrame([], from_arrow_schema(rows.schema))
        return self._named(name, frame)

    def view(self, name: str, expression: "ir.Table") -> "ir.Table":
        """A view."""
        return self._named(name, self._spark.sql(self._backend.compile(expression)))

    def schema(self, expression: "ir.Table") -> "pa.Schema":
        """The columns of the answer."""
        return expression.schema().to_pyarrow()

    def run(self, expression: "ir.Table", *, seconds: float) -> "Iterator[pa.RecordBatch]":
        """The rows, when all of them are there."""
        with _translated():
            self._backend._run_pre_execute_hooks(expression)  # rows that an expression carries itself
        yield from self.run_text(self.text(expression), self.schema(expression), seconds=seconds)

    def text(self, expression: "ir.Table") -> str:
        """SQL over the views of this snapshot."""
        text: str = self._backend.compile(expression)
        return text

    def run_text(self, text: str, schema: "pa.Schema", *, seconds: float) -> "Iterator[pa.RecordBatch]":
        """The rows of an SQL text, when all of them are there."""
        too_long = threading.Event()

        def stop() -> None:
            too_long.set()
            self._spark.interruptAll()

        timer = threading.Timer(seconds, stop)
        timer.daemon = True
        timer.start()
        try:
            with _translated():
                answer = self._spark.sql(text).toArrow()
        except Exception as error:
            if too_long.is_set():
                raise QueryTooLong(f"The query took longer than {seconds:g} seconds.") from error
            raise
        finally:
            timer.cancel()
        for batch in answer.to_batches(100_000):
            yield as_schema(batch, schema)

    def close(self) -> None:
        """Forget the views; the session stays for the next snapshot."""
        for name in self._made:
            self._spark.catalog.dropTempView(name)

    def _named(self, name: str, frame: Any) -> "ir.Table":
        full = self._mark + name
        self._made.add(full)
        with _translated():  # over Spark Connect a missing file shows here
            frame.createOrReplaceTempView(full)
        return self._backend.table(full)


_started: dict[str, Any] = {}
_starting = threading.Lock()


def _spark(url: str) -> Any:
    """The process's session for `url`."""
    with _starting:
        session = _started.get(url)
        if session is None or not _usable(session):
            from pyspark.sql import SparkSession

            builder = SparkSession.builder.appName("Porta Futuri CDP")
            if url.startswith("sc://"):
                builder = builder.remote(url)
            else:
                builder = builder.master(url).config("spark.ui.enabled", "false")
            session = _started[url] = builder.config(*_ZONE).getOrCreate()
        return session


def _usable(session: Any) -> bool:
    """Whether a session that was started once still is one."""
    context = getattr(session, "_sc", None)
    return context is None or context._jsc is not None


@contextmanager
def _translated() -> Iterator[None]:
    """Spark's errors, which differ by the way it is reached, by what their text says."""
    from pyspark.errors import PySparkException

    try:
        yield
    except PySparkException as error:
        if any(word in str(error) for word in _GONE):
            raise FilesGone(str(error)[:500]) from error
        raise
    except Exception as error:
        if "java.io.FileNotFoundException" in str(error):  # py4j's own error of a job
            raise FilesGone(str(error)[:500]) from error
        raise
