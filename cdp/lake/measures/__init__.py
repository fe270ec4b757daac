"""Measures of a person over the history. Names and kinds load no engine; `expressions.measured` computes several."""

from cdp.lake.measures.measure import MEASURES, Measure

__all__ = ["MEASURES", "Measure"]
