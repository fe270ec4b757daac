"""The look-ups of a day as a drawing: one bar an hour, in three layers."""

from collections.abc import Sequence

import msgspec
from django.utils.timezone import localtime

from cdp.core.clock import HOUR, from_us
from integrations.figures import HourCount

WIDTH, HEIGHT, _GAP = 720, 160, 4


class Layer(msgspec.Struct, frozen=True):
    """A part of a bar: its class, place and height."""

    kind: str
    y: float
    height: float


class Bar(msgspec.Struct, frozen=True):
    """An hour: what it says, and its layers from the bottom up."""

    label: str
    counts: HourCount
    x: float
    width: float
    layers: tuple[Layer, ...]
    named: bool


class Chart(msgspec.Struct, frozen=True):
    """The drawing; `busiest` is the count of the highest bar."""

    bars: tuple[Bar, ...]
    busiest: int
    width: int = WIDTH
    height: int = HEIGHT + 24
    base: int = HEIGHT


def chart_of(hours: Sequence[HourCount]) -> Chart:
    """The drawing of `hours`."""
    busiest = max((_total(hour) for hour in hours), default=0)
    step = WIDTH / max(len(hours), 1)
    bars = []
    for place, hour in enumerate(hours):
        label = localtime(from_us(hour.hour * HOUR)).strftime("%H:%M")
        layers = _layers(hour, busiest or 1)
        bars.append(Bar(label, hour, place * step + _GAP / 2, step - _GAP, layers, named=place % 4 == 0))
    return Chart(tuple(bars), busiest)


def _layers(hour: HourCount, busiest: int) -> tuple[Layer, ...]:
    layers = []
    top = float(HEIGHT)
    for kind, count in (("cached", hour.cached), ("called", hour.called), ("failed", hour.failed)):
        height = count / busiest * HEIGHT
        top -= height
        if count:
            layers.append(Layer(kind, top, height))
    return tuple(layers)


def _total(hour: HourCount) -> int:
    return hour.cached + hour.called + hour.failed
