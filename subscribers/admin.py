"""The admin's screens of people and what they agreed to. Consent is changed by nobody here: the
console and what people write do that, and leave an entry in the ledger."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.decorators import display

from senders.record_admin import KeptAdmin, RecordAdmin, RecordInline, moment
from subscribers.models import ConsentEvent, ConsentEvidence, Group, OptIn, Subscriber


class OptIns(RecordInline):
    model = OptIn
    verbose_name_plural = "Opt-ins by sender identity"
    fields = ("identity", "opted_in_at", "opted_out_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[OptIn]:
        opt_ins: QuerySet[OptIn] = super().get_queryset(request)
        return opt_ins.select_related("identity")


@admin.register(Subscriber)
class SubscriberAdmin(RecordAdmin):
    list_display = ("name", "phone", "imessage", "opted_out_at", "created_at")
    list_display_links = ("name",)
    search_fields = ("pk",)
    public_kind = "subscriber"
    phone_path = "phone"
    fieldsets = (
        (
            None,
            {"fields": ["public_id", "phone", ("first_name", "last_name"), "email", "attributes"]},
        ),
        ("Time zone", {"fields": [("time_zone", "time_zone_source")]}),
        ("Consent", {"fields": ["opted_out_at"]}),
        ("Reach by iMessage", {"fields": ["imessage", ("known_from", "as_of")]}),
    )
    readonly_fields = ("imessage", "known_from", "as_of")
    inlines = (OptIns,)

    @display(description="Name")
    def name(self, subscriber: Subscriber) -> str:
        return str(subscriber)

    @display(
        description="iMessage",
        label={"Has iMessage": "info", "No iMessage": "success", "Not known": ""},
    )
    def imessage(self, subscriber: Subscriber) -> str:
        return subscriber.get_imessage_capability_display()

    @display(description="Known from")
    def known_from(self, subscriber: Subscriber) -> str:
        return subscriber.get_imessage_source_display()

    @display(description="As of")
    def as_of(self, subscriber: Subscriber) -> str:
        return moment(subscriber.imessage_checked_at)


@admin.register(Group)
class GroupAdmin(KeptAdmin):
    list_display = ("name", "description", "created_at")
    search_fields = ("name", "description")
    fields = ("name", "description")


class Evidence(RecordInline):
    model = ConsentEvidence
    fields = ("phone", "words", "address", "user_agent")


@admin.register(ConsentEvent)
class ConsentEventAdmin(RecordAdmin):
    ordering = ("-position",)
    list_display = ("position", "at", "subscriber", "what", "scope", "identity", "source", "by")
    list_select_related = ("subscriber", "identity", "by")
    fields = (
        ("position", "at"),
        "subscriber",
        ("action", "scope"),
        "identity",
        ("source", "by"),
        "evidence_digest",
        "previous_hash",
        "hash",
    )
    inlines = (Evidence,)

    @display(
        description="What",
        label={"Opted in": "success", "Opted out": "danger", "Asked for help": "info"},
    )
    def what(self, event: ConsentEvent) -> str:
        return event.get_action_display()
