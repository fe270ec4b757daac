"""The engines of this installation, by its settings."""

import os

from django.conf import settings

from cdp.lake.duck import DuckDB
from cdp.lake.engine import Engine


def local_engine() -> DuckDB:
    """DuckDB in this process."""
    scratch = str(settings.DATA_DIR / "scratch")
    return DuckDB(threads=os.cpu_count() or 1, memory_mb=settings.ANALYTICS_MEMORY_MB, scratch=scratch)


def analytics_engine() -> Engine:
    """What ANALYTICS_ENGINE names: `duckdb`, or a Spark master (`local[4]`, `spark://…`) or `sc://…`."""
    if settings.ANALYTICS_ENGINE == "duckdb":
        return local_engine()
    from cdp.lake.spark import Spark

    return Spark(settings.ANALYTICS_ENGINE)
