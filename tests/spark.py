"""One real Spark session on this machine for all tests that compare engines: use the fixture `spark`."""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

URL = "local[2]"
_CONFIGURATION = {
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.memory": "1g",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.shuffle.partitions": "2",
    "spark.ui.enabled": "false",
}


@contextmanager
def spark_backend() -> Iterator[Any]:
    """The Ibis backend of a new local session; `._session` is Spark's own. Starting it takes about seven seconds.

    Whoever asks Spark for a session of `URL` afterwards gets this one.
    """
    logging.getLogger("py4j").setLevel(logging.WARNING)  # it says good-bye when the streams are closed already
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import ibis
        from pyspark.sql import SparkSession

        builder = SparkSession.builder.master(URL)
        for name, value in _CONFIGURATION.items():
            builder = builder.config(name, value)
        session = builder.getOrCreate()
        session.sparkContext.setLogLevel("OFF")
        backend = ibis.pyspark.connect(session)
    try:
        yield backend
    finally:
        session.stop()
