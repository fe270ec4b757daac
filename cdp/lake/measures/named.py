"""The ten named RFM segments and their bounds.

A partition of the 5 × 5 grid of recency and frequency scores, as published by Guillaume Martin, "RFM Segmentation with
Python" (2018), https://guillaume-martin.github.io/rfm-segmentation-with-python.html, after the segment chart of Putler.
The monetary score does not choose the name: who buys often and lately also spends most, as the author finds. It is
the third axis of the 3-D view and a measure of its own (`monetaryScore`).
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Named:
    """A segment: its key and label, the scores it takes (bounds inclusive), and what its people have in common."""

    key: str
    label: str
    recency: tuple[int, int]
    frequency: tuple[int, int]
    meaning: str

    def holds(self, recency: int, frequency: int) -> bool:
        """Whether these scores fall into it."""
        low, high = self.recency
        return low <= recency <= high and self.frequency[0] <= frequency <= self.frequency[1]


NAMED = (
    Named("champions", "Champions", (5, 5), (4, 5), "Bought just now and buy often."),
    Named("loyal_customers", "Loyal customers", (3, 4), (4, 5), "Buy often, most of them lately."),
    Named("potential_loyalists", "Potential loyalists", (4, 5), (2, 3), "Bought lately and more than once."),
    Named("new_customers", "New customers", (5, 5), (1, 1), "Bought just now, for the first time or seldom."),
    Named("promising", "Promising", (4, 4), (1, 1), "Bought lately, but seldom."),
    Named("need_attention", "Need attention", (3, 3), (3, 3), "In the middle of both: could go either way."),
    Named("about_to_sleep", "About to sleep", (3, 3), (1, 2), "Bought seldom, and a while ago."),
    Named("at_risk", "At risk", (1, 2), (3, 4), "Bought fairly often, but long ago."),
    Named("cant_lose", "Can't lose them", (1, 2), (5, 5), "Bought more often than most, but long ago."),
    Named("hibernating", "Hibernating", (1, 2), (1, 2), "Bought seldom and long ago."),
)


def rfm_segment(recency: int, frequency: int) -> Named:
    """The one segment of these scores (1 to 5). Raises ValueError for others."""
    for named in NAMED:
        if named.holds(recency, frequency):
            return named
    raise ValueError(f"scores go from 1 to 5, not {recency} and {frequency}")
