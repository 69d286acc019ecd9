"""Pages without page numbers: each begins after the last row of the one before, at any depth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from django.db.models import Model, QuerySet

from identifiers import public_ids

Row = TypeVar("Row", bound=Model)

SIZE = 50


@dataclass(frozen=True)
class Page(Generic[Row]):
    """``next`` is what the next page's address gives as ``after``; empty on the last page."""

    rows: list[Row]
    next: str
    is_first: bool


def page(
    rows: QuerySet[Row], *, kind: str, key: str = "id", after: str, size: int = SIZE
) -> Page[Row]:
    """One page of ``rows``, ordered by ``key`` (with a minus: from the highest down).

    ``after`` is the public id, of ``kind``, of the last row's key on the page before. What can't be
    one is read as the first page.
    """
    column = key.removeprefix("-")
    last = public_ids.decode(kind, after) if after else None
    if last is not None:
        rows = rows.filter(**{f"{column}__lt" if key.startswith("-") else f"{column}__gt": last})
    found = list(rows.order_by(key)[: size + 1])
    has_more = len(found) > size
    found = found[:size]
    end = str(public_ids.encode(kind, getattr(found[-1], column))) if has_more else ""
    return Page(found, end, last is None)
