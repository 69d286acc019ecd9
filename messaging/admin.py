"""The admin's screens of what was said and what became of it: facts to read. Staff write and answer
in the console."""

from __future__ import annotations

from django.contrib import admin
from django.utils.safestring import SafeString
from unfold.decorators import display

from identifiers import public_ids
from messaging.models import (
    Attempt,
    Batch,
    Conversation,
    Event,
    Message,
    Send,
    Template,
)
from messaging.routing import SENTENCES
from senders.gateways.contract import Route
from senders.record_admin import HistoryAdmin, RecordAdmin, RecordInline

ROUTE_WORDS = {Route.IMESSAGE.value: "iMessage", Route.SMS.value: "SMS"}
#: Blue is iMessage, green is SMS.
ROUTES = {"iMessage": "info", "SMS": "success"}
STATES = {
    "Accepted": "info",
    "Sent": "info",
    "Delivered": "success",
    "Read": "success",
    "Received": "success",
    "Done": "success",
    "Failed": "danger",
    "Unknown": "warning",
    "Held": "warning",
    "Paused": "warning",
    "Suppressed": "warning",
    "Abandoned": "warning",
}


class TravelAdmin(RecordAdmin):
    """Records that have a route and a state: both as badges, everywhere in the same colours."""

    @display(description="Route", label=ROUTES)
    def way(self, row: Message | Attempt | Batch | Event) -> str:
        return ROUTE_WORDS.get(row.route, "")

    @display(description="State", label=STATES)
    def condition(self, row: Message | Attempt | Batch | Send) -> str:
        return row.get_state_display()


@admin.register(Template)
class TemplateAdmin(HistoryAdmin):
    list_display = ("name", "updated_at", "archived_at")
    search_fields = ("name",)
    fields = ("name", "body", "archived_at")


@admin.register(Send)
class SendAdmin(TravelAdmin):
    list_display = ("public_id", "name", "kind", "condition", "identity", "longcode", "created_at")
    list_select_related = ("identity", "longcode")
    search_fields = ("pk",)
    public_kind = "send"


class Attempts(RecordInline):
    model = Attempt
    verbose_name_plural = "Legs tried"
    fields = ("number", "way", "gateway", "state", "error_code", "claimed_at", "answered_at")
    readonly_fields = ("way",)

    @display(description="Route")
    def way(self, attempt: Attempt) -> str:
        return ROUTE_WORDS.get(attempt.route, "")


@admin.register(Message)
class MessageAdmin(TravelAdmin):
    list_display = (
        "public_id",
        "direction",
        "way",
        "condition",
        "reason",
        "error_code",
        "created_at",
    )
    search_fields = ("pk",)
    public_kind = "message"
    phone_path = "subscriber__phone"
    fieldsets = (
        (None, {"fields": ["direction", "send", "subscriber", "identity", "longcode"]}),
        ("Way", {"fields": [("first_way", "way"), "why", ("condition", "error_code"), "leg"]}),
        ("Text", {"fields": ["body", "segments", "media_urls"]}),
        ("Carrier", {"fields": ["gateway", "gateway_message_id"]}),
        ("Moments", {"fields": [("created_at", "state_at")]}),
    )
    readonly_fields = ("first_way", "way", "why", "condition")
    inlines = (Attempts,)

    @display(description="First route")
    def first_way(self, message: Message) -> str:
        return ROUTE_WORDS.get(message.first_route, "")

    @display(description="Reason")
    def why(self, message: Message) -> str:
        return f"{SENTENCES.get(message.reason, '')} ({message.reason})" if message.reason else ""


@admin.register(Attempt)
class AttemptAdmin(TravelAdmin):
    list_display = (
        "public_id",
        "of_message",
        "number",
        "way",
        "gateway",
        "condition",
        "error_code",
        "claimed_at",
    )
    list_select_related = ("gateway",)
    search_fields = ("pk",)
    public_kind = "attempt"
    exclude = ("message",)
    readonly_fields = ("of_message",)

    @display(description="Message")
    def of_message(self, attempt: Attempt) -> int:
        return public_ids.encode("message", attempt.message_id)


@admin.register(Batch)
class BatchAdmin(TravelAdmin):
    ordering = ("priority", "due_at", "pk")
    list_display = ("lane", "send", "way", "priority", "messages", "condition", "due_at")
    list_select_related = ("lane__identity", "lane__longcode", "send")
    exclude = ("message_ids", "lease")
    readonly_fields = ("messages",)

    @display(description="Messages")
    def messages(self, batch: Batch) -> int:
        return len(batch.message_ids)


@admin.register(Event)
class EventAdmin(TravelAdmin):
    list_display = ("at", "kind", "about", "old", "new", "way", "reason", "detail")

    @display(description="About")
    def about(self, event: Event) -> str | SafeString:
        for kind in ("message", "send", "subscriber"):
            key = getattr(event, f"{kind}_id")
            if key is not None:
                return f"{kind.capitalize()} {public_ids.encode(kind, key)}"
        return ""


@admin.register(Conversation)
class ConversationAdmin(RecordAdmin):
    ordering = ("-last_at", "-pk")
    list_display = (
        "subscriber",
        "longcode",
        "identity",
        "unread",
        "is_open",
        "assignee",
        "last_at",
    )
    list_select_related = ("subscriber", "longcode", "identity", "assignee")
    search_fields = ("pk",)
    public_kind = "conversation"
    phone_path = "subscriber__phone"
    exclude = ("last_body",)
