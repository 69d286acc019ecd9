"""The admin's screens for who speaks and through what."""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import models
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import action, display

from senders.condition import condition_of
from senders.forms import (
    STATUS_MEANS,
    STATUS_TONES,
    GatewayForm,
    IdentityForm,
    LongcodeForm,
    StatusForm,
    carrier_label,
    carriers,
    credential_fieldset,
    gateway_form,
)
from senders.gateways.registry import ADAPTERS
from senders.identities import NotValid, change_status
from senders.models import Gateway, IdentityStatusChange, Lane, Longcode, SenderIdentity
from senders.record_admin import HistoryAdmin, RecordAdmin, RecordInline, moment
from senders.trial import try_out


@admin.register(Gateway)
class GatewayAdmin(HistoryAdmin):
    list_display = (
        "name",
        "carrier",
        "condition",
        "last_inbound_at",
        "last_delivery_at",
        "refused_callbacks",
    )
    search_fields = ("name", "base_url")
    readonly_fields = (
        "carrier",
        "condition_sentence",
        "last_inbound_at",
        "last_delivery_at",
        "refused_callbacks",
        "callback_address",
        "stored_credentials",
    )
    formfield_overrides = {models.URLField: {"assume_scheme": "https"}}
    actions_detail = ("test_connection",)

    # Which carrier: asked first, because the form depends on it; never changed later.

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        if request.GET.get("kind") in ADAPTERS:
            page: HttpResponse = super().add_view(request, form_url, extra_context)
            return page
        if not self.has_add_permission(request):
            raise PermissionDenied
        choices = [
            {"label": label, "link": f"?{urlencode({'kind': kind})}"}
            for kind, label in carriers().items()
        ]
        if len(choices) == 1:
            return HttpResponseRedirect(choices[0]["link"])
        context = self._page(request, "Choose the carrier", choices=choices)
        return TemplateResponse(request, "admin/senders/gateway/choose_carrier.html", context)

    def get_form(
        self, request: HttpRequest, obj: Gateway | None = None, change: bool = False, **kwargs: Any
    ) -> type[GatewayForm]:
        kwargs["form"] = gateway_form(_kind(request, obj))
        return cast("type[GatewayForm]", super().get_form(request, obj, change, **kwargs))

    def get_fieldsets(self, request: HttpRequest, obj: Gateway | None = None) -> Any:
        adapter = ADAPTERS.get(_kind(request, obj))
        may_edit = self.has_change_permission(request, obj) if obj else True
        credentials = ["stored_credentials"]
        if may_edit and adapter is not None:
            credentials = credential_fieldset(adapter, obj)
        account = (None, {"fields": ["carrier", "name", "base_url", "is_paused"]})
        secrets = (
            "Credentials",
            {
                "fields": credentials,
                "description": "Encrypted where they are stored, and never shown again.",
            },
        )
        if obj is None:
            return (account, secrets)
        callbacks = (
            "Callbacks",
            {
                # The address holds the token that lets callbacks in: for who may change it.
                "fields": [*(["callback_address"] if may_edit else []), "refused_callbacks"],
                "description": "Paste the address into the carrier's settings, so that replies "
                "and delivery reports arrive."
                if may_edit
                else "How the carrier reaches us.",
            },
        )
        health = (
            "Health",
            {"fields": ["condition_sentence", ("last_inbound_at", "last_delivery_at")]},
        )
        return (account, secrets, callbacks, health)

    def changed_columns(self, form: ModelForm[Any]) -> list[str]:
        columns = super().changed_columns(form)
        if isinstance(form, GatewayForm) and form.changes_credentials:
            columns.append("credentials")
        return columns

    @action(description="Test connection", icon="network_check", permissions=["change"])
    def test_connection(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask the carrier what works, and show it; reads only, so that a link may do it."""
        gateway = get_object_or_404(Gateway, pk=object_id)
        context = self._page(
            request,
            f"Test of {gateway}",
            gateway=gateway,
            original=gateway,
            findings=try_out(gateway),
        )
        return TemplateResponse(request, "admin/senders/gateway/try_out.html", context)

    def _page(self, request: HttpRequest, title: str, **context: Any) -> dict[str, Any]:
        own = {"title": title, "opts": self.opts}
        return {**self.admin_site.each_context(request), **own, **context}

    @display(description="Carrier")
    def carrier(self, gateway: Gateway) -> str:
        return carrier_label(gateway) if gateway.kind else ""

    @display(
        description="Condition",
        label={
            "Available": "success",
            "Paused": "warning",
            "On trial": "warning",
            "Breaker open": "danger",
        },
    )
    def condition(self, gateway: Gateway) -> str:
        return condition_of(gateway).word

    @display(description="Condition")
    def condition_sentence(self, gateway: Gateway) -> SafeString:
        return _badge_and_sentence(*condition_of(gateway))

    @display(description="Callback address")
    def callback_address(self, gateway: Gateway) -> SafeString:
        return render_to_string(
            "admin/senders/gateway/callback_address.html", {"address": gateway.callback_url}
        )

    @display(description="Stored")
    def stored_credentials(self, gateway: Gateway) -> str:
        adapter = ADAPTERS.get(gateway.kind)
        if adapter is None:
            return "This version does not have the carrier."
        return ", ".join(
            f"{spec.label}: {'set' if gateway.credentials.get(spec.name) else 'not set'}"
            for spec in adapter.credential_fields
        )


def _kind(request: HttpRequest, gateway: Gateway | None) -> str:
    return gateway.kind if gateway else request.GET.get("kind", "")


@admin.register(Longcode)
class LongcodeAdmin(HistoryAdmin):
    form = LongcodeForm
    list_display = (
        "number",
        "label",
        "attached_identity",
        "gateway",
        "messages_per_second",
        "price_per_segment",
        "is_active",
    )
    list_select_related = ("gateway", "identity")
    list_filter = ("is_active", "gateway")
    search_fields = ("number", "label")
    readonly_fields = ("attached_identity",)
    fieldsets = (
        (None, {"fields": ["number", "label", "gateway", "attached_identity", "is_active"]}),
        ("Limits and price", {"fields": [("messages_per_second", "price_per_segment")]}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Longcode | None = None) -> Any:
        fields = super().get_readonly_fields(request, obj)
        return (*fields, "number") if obj else fields

    @display(description="Sender identity")
    def attached_identity(self, longcode: Longcode) -> str | SafeString:
        identity = getattr(longcode, "identity", None)
        return _link(identity) if identity else "None: plain SMS only"


class StatusHistory(RecordInline):
    model = IdentityStatusChange
    verbose_name_plural = "Status history"
    fields = ("at", "old", "new", "reason", "by", "source")
    per_page = 10

    def get_queryset(self, request: HttpRequest) -> QuerySet[IdentityStatusChange]:
        changes: QuerySet[IdentityStatusChange] = super().get_queryset(request)
        return changes.select_related("by")


@admin.register(SenderIdentity)
class SenderIdentityAdmin(HistoryAdmin):
    form = IdentityForm
    list_display = (
        "name_and_handle",
        "status_badge",
        "longcode",
        "gateway",
        "last_inbound",
        "last_delivery",
    )
    list_select_related = ("longcode", "gateway")
    list_filter = ("status", "gateway")
    search_fields = ("name", "handle", "longcode__number")
    readonly_fields = (
        "status_sentence",
        "sender_id",
        "gateway_condition",
        "last_inbound",
        "last_delivery",
    )
    inlines = (StatusHistory,)
    actions_detail = ("set_status",)

    def get_fieldsets(self, request: HttpRequest, obj: SenderIdentity | None = None) -> Any:
        identity = ["name", "handle", "gateway", "longcode"]
        opt_in = (
            "Opt-in",
            {"fields": ["opt_in_message", "welcome_text"]},
        )
        limits = ("Limits", {"fields": ["messages_per_second"]})
        if obj is None:
            return ((None, {"fields": identity}), opt_in, limits)
        health = (
            "Health",
            {
                "fields": ["gateway_condition", ("last_inbound", "last_delivery")],
                "description": "Of the gateway that this identity speaks through.",
            },
        )
        return (
            (None, {"fields": ["status_sentence", *identity, "sender_id"]}),
            opt_in,
            limits,
            health,
        )

    def get_inlines(self, request: HttpRequest, obj: SenderIdentity | None) -> Any:
        return self.inlines if obj else ()

    @action(description="Change status", icon="swap_horiz", permissions=["change"])
    def set_status(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask for the new status and the reason, and change it."""
        identity = get_object_or_404(
            SenderIdentity.objects.select_related("longcode"), pk=object_id
        )
        form = StatusForm(request.POST or None, identity=identity)
        if request.method == "POST" and form.is_valid():
            try:
                return self._change_status(request, identity, form)
            except NotValid as refusal:
                form.add_error(refusal.field, refusal.sentence)
        context = {
            **self.admin_site.each_context(request),
            "title": f"Change the status of {identity}",
            "opts": self.opts,
            "original": identity,
            "identity": identity,
            "tone": STATUS_TONES[identity.get_status_display()],
            "form": form,
        }
        return TemplateResponse(request, "admin/senders/senderidentity/change_status.html", context)

    def _change_status(
        self, request: HttpRequest, identity: SenderIdentity, form: StatusForm
    ) -> HttpResponseRedirect:
        current = identity.get_status_display()
        identity.status = form.cleaned_data["seen"]
        changed = change_status(
            identity,
            to=form.cleaned_data["to"],
            reason=form.cleaned_data["reason"],
            by=cast("User", request.user),
        )
        if changed:
            self.log_change(request, identity, f"Status: {identity.get_status_display()}.")
            messages.success(request, f"{identity} is now {identity.status}.")
        else:
            messages.warning(
                request,
                f"Nothing was changed: {identity} became {current.lower()} in the meantime. "
                "Look at the history, then decide again.",
            )
        return HttpResponseRedirect(_address(identity))

    @display(description="Name", header=True, ordering="name")
    def name_and_handle(self, identity: SenderIdentity) -> tuple[str, str]:
        return identity.name, identity.handle

    @display(description="Status", label=STATUS_TONES, ordering="status")
    def status_badge(self, identity: SenderIdentity) -> str:
        return identity.get_status_display()

    @display(description="Status")
    def status_sentence(self, identity: SenderIdentity) -> SafeString:
        word = identity.get_status_display()
        return _badge_and_sentence(word, STATUS_TONES[word], STATUS_MEANS[identity.status])

    @display(description="Public id")
    def sender_id(self, identity: SenderIdentity) -> int:
        return identity.public_id

    @display(description="Condition")
    def gateway_condition(self, identity: SenderIdentity) -> SafeString:
        return _badge_and_sentence(*condition_of(identity.gateway))

    @display(description="Last inbound", ordering="gateway__last_inbound_at")
    def last_inbound(self, identity: SenderIdentity) -> str:
        return moment(identity.gateway.last_inbound_at)

    @display(description="Last delivery", ordering="gateway__last_delivery_at")
    def last_delivery(self, identity: SenderIdentity) -> str:
        return moment(identity.gateway.last_delivery_at)


@admin.register(IdentityStatusChange)
class IdentityStatusChangeAdmin(RecordAdmin):
    list_display = ("at", "identity", "old_status", "new_status", "reason", "by", "source")
    list_display_links = ("at",)
    list_select_related = ("identity", "by")
    list_filter = ("identity", "new", "source")
    search_fields = ("identity__name", "reason")

    @display(description="From", label=STATUS_TONES)
    def old_status(self, change: IdentityStatusChange) -> str:
        return change.get_old_display()

    @display(description="To", label=STATUS_TONES)
    def new_status(self, change: IdentityStatusChange) -> str:
        return change.get_new_display()


@admin.register(Lane)
class LaneAdmin(RecordAdmin):
    ordering = ("pk",)
    list_display = ("line_name", "gateway_name", "rate", "next_at")
    list_select_related = ("identity__gateway", "longcode__gateway")
    fields = ("line_name", "gateway_name", "rate", "next_at")
    readonly_fields = ("line_name", "gateway_name", "rate")

    @display(description="Line")
    def line_name(self, lane: Lane) -> str:
        return str(lane.line)

    @display(description="Gateway")
    def gateway_name(self, lane: Lane) -> str:
        return str(lane.gateway)

    @display(description="Messages per second", empty_value="no limit of ours")
    def rate(self, lane: Lane) -> float | None:
        return lane.messages_per_second


def _address(row: Gateway | SenderIdentity) -> str:
    return reverse(f"admin:senders_{row._meta.model_name}_change", args=[row.pk])


def _badge_and_sentence(word: str, tone: str, sentence: str) -> SafeString:
    badge = render_to_string("unfold/helpers/label.html", {"text": word, "type": tone})
    return format_html('<span class="mr-2">{}</span> {}', badge, sentence)


def _link(row: Gateway | SenderIdentity) -> SafeString:
    return format_html(
        '<a href="{}" class="text-primary-600 dark:text-primary-500">{}</a>', _address(row), row
    )
