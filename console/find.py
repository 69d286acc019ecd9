"""From a public id in an address to its row."""

from __future__ import annotations

from typing import TypeVar

from django.db.models import Model, QuerySet
from django.http import Http404

from identifiers import public_ids

Row = TypeVar("Row", bound=Model)


def or_404(rows: QuerySet[Row], kind: str, public_id: int | str) -> Row:
    """The row of ``kind`` behind ``public_id``, or the page that says there is none."""
    key = public_ids.decode(kind, public_id)
    row = rows.filter(pk=key).first() if key is not None else None
    if row is None:
        raise Http404
    return row
