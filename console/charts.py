"""The geometry of charts: numbers in, rectangles out. Templates draw them as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

#: A bar's width, and that of its narrowest piece.
WIDTH, LEAST = 1000, 4


class Piece(NamedTuple):
    """A part of a bar; ``x`` and ``width`` in the bar's units."""

    tone: str
    x: float
    width: float


class Column(NamedTuple):
    """One column of a chart over days."""

    x: float
    width: float
    label: str
    title: str
    pieces: list[tuple[str, float, float]]


class Columns(NamedTuple):
    """A chart of stacked columns, ``width`` × ``height``, with grid lines as (y, label)."""

    width: int
    height: int
    floor: int
    columns: list[Column]
    lines: list[tuple[float, int]]


def bar(parts: Sequence[tuple[str, int]], *, total: int | None = None) -> list[Piece]:
    """Parts of a whole as pieces of a bar 1,000 units wide. None is invisible."""
    whole = total if total is not None else sum(count for _, count in parts)
    if whole <= 0:
        return []
    shown = [(tone, count) for tone, count in parts if count > 0]
    widths = [max(WIDTH * count / whole, LEAST) for _, count in shown]
    # What the small ones gained, the widest gives.
    gained = sum(widths) - WIDTH * sum(count for _, count in shown) / whole
    if widths:
        widths[widths.index(max(widths))] -= gained
    starts = accumulate(widths, initial=0.0)
    return [
        Piece(tone, round(start, 2), round(width, 2))
        for (tone, _), start, width in zip(shown, starts, widths, strict=False)
    ]


def ceiling(highest: int) -> int:
    """The next round number: 1, 2 or 5 times a power of ten, at least 4."""
    step = 1
    while True:
        for factor in (1, 2, 4, 5, 8):
            if factor * step >= max(highest, 4):
                return factor * step
        step *= 10


def columns(
    days: Sequence[tuple[str, str, Sequence[tuple[str, int]]]],
    *,
    width: int = 640,
    height: int = 200,
) -> Columns:
    """Stacked columns. Each day: (label, title, parts as (tone, count), from the bottom up)."""
    left, top, bottom = 44, 10, 24
    floor = height - bottom
    most = ceiling(max((sum(count for _, count in parts) for _, _, parts in days), default=0))
    slot = (width - left) / max(len(days), 1)
    drawn = []
    for index, (label, title, parts) in enumerate(days):
        y, pieces = float(floor), []
        for tone, count in parts:
            tall = (floor - top) * count / most
            y -= tall
            if count:
                pieces.append((tone, round(y, 2), round(tall, 2)))
        drawn.append(Column(round(left + slot * index, 2), round(slot, 2), label, title, pieces))
    lines = [(floor - (floor - top) * part / 4, most * part // 4) for part in range(5)]
    return Columns(width, height, floor, drawn, lines)
