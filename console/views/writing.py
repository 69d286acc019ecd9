"""Compose: one page to write a send, with its preview and forecast beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.datastructures import MultiValueDict

from console import find
from console.access import SignedIn, action, page
from console.forms import ComposeForm, initial_of, senders
from identifiers import public_ids
from messaging import compose, rendering, routing, segments
from messaging.forecast import Forecast, Preview, Sample, forecast, preview
from messaging.models import Send, Template
from messaging.states import SendState
from subscribers.models import Group, Subscriber

MOST_SAMPLES_OFFERED = 6


@dataclass
class Live:
    """What stands beside the form: what is still missing, or the forecast with its preview."""

    missing: Sequence[str] = ()
    forecast: Forecast | None = None
    preview: Preview | None = None
    previewed: Subscriber | None = None
    people: Sequence[Sample] = ()
    raw: str = ""
    counted: segments.Segments | None = None
    new_numbers: int = 0
    has_sms: bool = True
    send: Send | None = None
    errors: dict[str, Any] = field(default_factory=dict)


@page("messaging.add_send", methods=("GET", "POST"))
def compose_send(request: SignedIn) -> HttpResponse:
    draft = _draft_to_change(request)
    if request.method == "POST":
        form = ComposeForm(request.POST)
        send = _keep(form, request, draft)
        if send is not None:
            return redirect("console:sends-one", public_id=send.public_id)
    else:
        form = ComposeForm(initial=_initial(request, draft))
    shown = live(form) if form.is_bound else _live_of_initial(form)
    return _page(request, form, draft, shown, status=422 if form.errors else 200)


@action("messaging.add_send")
def live_forecast(request: SignedIn) -> HttpResponse:
    """The forecast of what is typed so far: its part of the page, or without script the page."""
    form = ComposeForm(request.POST)
    shown = live(form, preview_as=request.POST.get("preview_as", ""))
    if request.htmx:
        return render(request, "console/parts/forecast.html", {"live": shown})
    return _page(request, form, _draft_to_change(request), shown)


def _page(
    request: SignedIn, form: ComposeForm, draft: Send | None, shown: Live, *, status: int = 200
) -> HttpResponse:
    context = {
        "form": form,
        "values": _values(form),
        "draft": draft,
        "senders": senders(),
        "templates": Template.objects.filter(archived_at=None)[:200],
        "merge_fields": rendering.COLUMNS,
        "reasons": routing.FALLBACK_REASONS,
        "live": shown,
    }
    return render(request, "console/compose.html", context, status=status)


def live(form: ComposeForm, *, preview_as: str = "") -> Live:
    """Preview and forecast of what is typed so far. Nothing is written."""
    send = form.described()
    raw = form.cleaned_data.get("body", "")
    shown = Live(raw=raw, counted=segments.count(raw) if raw else None)
    shown.new_numbers = len(form.new_phones)
    if send is None:
        shown.missing = [str(text) for texts in form.errors.values() for text in texts]
        return shown
    return _with_forecast(shown, send, preview_as)


def _with_forecast(shown: Live, send: Send, preview_as: str) -> Live:
    shown.send = send
    shown.forecast = forecast(send)
    shown.people = _one_of_each(shown.forecast)
    chosen = public_ids.decode("subscriber", preview_as) if preview_as else None
    if chosen is None and shown.people:
        chosen = shown.people[0].subscriber_id
    if chosen is not None:
        shown.preview = preview(send, chosen)
        shown.previewed = Subscriber.objects.filter(pk=chosen).first()
    return shown


def _one_of_each(found: Forecast) -> list[Sample]:
    """People to preview as: the first of each row that is sent, the largest rows first."""
    sent = [row for row in found.rows if row.route]
    samples = [found.samples.get((row.route, row.reason), []) for row in sent]
    every = [sample for row in samples for sample in row[:1]]
    every += [sample for row in samples for sample in row[1:]]
    return every[:MOST_SAMPLES_OFFERED]


def _keep(form: ComposeForm, request: SignedIn, draft: Send | None) -> Send | None:
    """The send as a draft; ``None`` when the form says what is wrong, and nothing is written."""
    if form.described() is None:
        return None
    try:
        if draft is None:
            return compose.create(form.draft(), by=request.user)
        if not compose.revise(draft, form.draft()):
            messages.error(request, "This draft was sent meanwhile, so it was not changed.")
        return draft
    except compose.NotValid as error:  # something changed since the check
        form.tell(error.problems)
        return None


def _draft_to_change(request: SignedIn) -> Send | None:
    public_id = request.POST.get("draft") or request.GET.get("draft")
    if not public_id:
        return None
    drafts = Send.objects.filter(state=SendState.DRAFT).select_related("longcode")
    return find.or_404(drafts, "send", public_id)


def _initial(request: SignedIn, draft: Send | None) -> dict[str, Any]:
    if draft is not None:
        return initial_of(draft)
    if "like" in request.GET:
        sends = Send.objects.select_related("longcode")
        return initial_of(find.or_404(sends, "send", request.GET["like"])) | {"when": "now"}
    initial: dict[str, Any] = {"when": "now", "fallback": "all", "unknown_policy": "hold"}
    lines = senders()
    if lines:
        initial["sender"] = str(lines[0].public_id)
    if "to" in request.GET:
        people = Subscriber.objects.exclude(phone=None)
        initial["numbers"] = find.or_404(people, "subscriber", request.GET["to"]).phone
    if "group" in request.GET:
        group = find.or_404(Group.objects.all(), "group", request.GET["group"])
        initial["groups"] = [str(group.public_id)]
    if "template" in request.GET:
        initial["body"] = find.or_404(
            Template.objects.all(), "template", request.GET["template"]
        ).body
    return initial


def _values(form: ComposeForm) -> dict[str, Any]:
    """What each field shows: what was typed, kept even where it was refused."""
    if not form.is_bound:
        return dict(form.initial)
    data = form.data
    values: dict[str, Any] = {name: data.get(name, "") for name in form.fields}
    assert isinstance(data, MultiValueDict)
    for name in ("groups", "excluded_groups", "fallback_reasons"):
        values[name] = data.getlist(name)
    values["at"] = form.cleaned_data.get("at") if hasattr(form, "cleaned_data") else None
    values["at_text"] = data.get("at", "")
    return values


def _live_of_initial(form: ComposeForm) -> Live:
    """The same for a page that was opened with something in it already."""
    if not form.initial.get("body"):
        return Live()
    data: MultiValueDict[str, Any] = MultiValueDict()
    for name, value in form.initial.items():
        if value not in (None, "", False):
            data.setlist(name, value if isinstance(value, list) else [value])
    return live(ComposeForm(data))
