"""The admin's screen of what carriers told us."""

from __future__ import annotations

from django.contrib import admin
from unfold.decorators import display

from senders.record_admin import RecordAdmin
from webhooks.models import Receipt

SHOWN_BYTES = 20_000


@admin.register(Receipt)
class ReceiptAdmin(RecordAdmin):
    list_display = ("received_at", "gateway", "result", "tries", "processed_at", "error")
    list_display_links = ("received_at",)
    list_select_related = ("gateway",)
    fields = (
        ("gateway", "outcome"),
        ("received_at", "processed_at"),
        ("tries", "next_try_at"),
        "error",
        "path",
        "query",
        "headers",
        "body_as_it_came",
    )
    readonly_fields = ("body_as_it_came",)

    @display(
        description="Outcome",
        label={
            "Processed": "success",
            "Waiting": "info",
            "About a message we don't know": "warning",
            "Not understood": "danger",
            "Could not be processed": "danger",
        },
    )
    def result(self, receipt: Receipt) -> str:
        return receipt.get_outcome_display()

    @display(description="Body as it came")
    def body_as_it_came(self, receipt: Receipt) -> str:
        return bytes(receipt.body[:SHOWN_BYTES]).decode(errors="replace")
