"""The session that the comparing tests share works, maps and all."""

import ibis
import pyarrow as pa


def test_the_same_expression_on_both_engines(spark):
    rows = pa.table(
        {"id": pa.array([1, 2], pa.int64()), "num": pa.array([[("a", 1.5)], []], pa.map_(pa.string(), pa.float64()))}
    )
    spark._session.createDataFrame(rows).createOrReplaceTempView("rows_of_a_test")
    duck = ibis.duckdb.connect()
    tables = spark.table("rows_of_a_test"), duck.create_table("rows_of_a_test", rows)
    answers = [
        table.get_backend().to_pyarrow(table.select("id", value=table.num.get("a")).order_by("id")).to_pylist()
        for table in tables
    ]
    assert answers == [[{"id": 1, "value": 1.5}, {"id": 2, "value": None}]] * 2
