"""Templates: texts to send again."""

from __future__ import annotations

from django.contrib import messages
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from console import find, keyset
from console.access import SignedIn, action, page
from console.forms import TemplateForm
from messaging import rendering, segments
from messaging.models import Template


@page("messaging.view_template")
def templates(request: SignedIn) -> HttpResponse:
    rows = Template.objects.filter(archived_at=None)
    found = keyset.page(rows, kind="template", key="-id", after=request.GET.get("after", ""))
    return render(request, "console/templates.html", {"page": found})


@page("messaging.add_template", methods=("GET", "POST"))
def new(request: SignedIn) -> HttpResponse:
    return _edit(request, None)


@page("messaging.view_template", methods=("GET", "POST"))
def edit(request: SignedIn, public_id: int) -> HttpResponse:
    template = find.or_404(Template.objects.all(), "template", public_id)
    return _edit(request, template)


@action("messaging.change_template")
def archive(request: SignedIn, public_id: int) -> HttpResponse:
    template = find.or_404(Template.objects.all(), "template", public_id)
    if template.archived_at is None:
        template.archived_at = timezone.now()
        template.save(update_fields=["archived_at", "updated_at"])
        messages.success(request, f"“{template.name}” is archived. Sends that used it keep it.")
    return redirect("console:templates")


def _edit(request: SignedIn, template: Template | None) -> HttpResponse:
    may_change = request.user.has_perm(
        "messaging.change_template" if template else "messaging.add_template"
    )
    form = TemplateForm(request.POST or None, instance=template)
    if request.method == "POST":
        if not may_change:
            return _refuse(request)
        if form.is_valid() and _saved(form):
            messages.success(request, f"“{form.instance.name}” is saved.")
            return redirect("console:templates")
    versions = template.history.all()[:20] if template else []
    return render(
        request,
        "console/template.html",
        {
            "form": form,
            "template": template,
            "may_change": may_change,
            "versions": versions,
            "merge_fields": [*rendering.COLUMNS, "attributes.city"],
            "segments": segments.count(template.body) if template else None,
        },
        status=422 if form.errors else 200,
    )


def _saved(form: TemplateForm) -> bool:
    """Two people may choose one name in the same moment; the database keeps the first."""
    try:
        with transaction.atomic():
            form.save()
    except IntegrityError:
        form.add_error("name", "A template has this name already. Choose another name.")
        return False
    return True


def _refuse(request: HttpRequest) -> HttpResponse:
    return render(request, "403.html", status=403)
