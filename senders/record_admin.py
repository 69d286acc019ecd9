"""What the admin screens of all apps share: records are read there, and nothing is deleted."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Model, QuerySet
from django.forms import ModelForm
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.formats import date_format
from simple_history.admin import SimpleHistoryAdmin
from unfold.admin import ModelAdmin, TabularInline
from unfold.paginator import InfinitePaginator

from identifiers import public_ids
from identifiers.e164 import InvalidPhone, normalize


def moment(at: datetime | None) -> str:
    """A moment as the admin writes it everywhere, with its zone."""
    return date_format(timezone.localtime(at), "DATETIME_FORMAT") if at else "Never"


class KeptAdmin(ModelAdmin):
    """Rows that others point to: made and changed here, never deleted.

    A change writes the columns that the person changed and no others: the program may have moved
    the rest (a breaker, a status) while the form was open.
    """

    list_disable_select_all = True
    list_fullwidth = True
    list_filter_sheet = False
    actions: Any = None

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        context = {"show_save_and_add_another": False, **(extra_context or {})}
        page: HttpResponse = super().changeform_view(request, object_id, form_url, context)
        return page

    def save_model(
        self, request: HttpRequest, obj: Model, form: ModelForm[Any], change: bool
    ) -> None:
        if change:
            obj.save(update_fields=self.changed_columns(form))
        else:
            super().save_model(request, obj, form, change)

    def changed_columns(self, form: ModelForm[Any]) -> list[str]:
        """The columns that this form changes."""
        columns = {field.name for field in self.model._meta.concrete_fields}
        return [name for name in form.changed_data if name in columns]


class HistoryAdmin(SimpleHistoryAdmin, KeptAdmin):
    """Rows whose changes are kept: who, when, from what to what. An old version can't be put back,
    because it lacks the columns that no history keeps (credentials, a status)."""

    object_history_list_template = "admin/history_list.html"

    def history_form_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        raise Http404

    def revert_disabled(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return True


class RecordAdmin(KeptAdmin):
    """Facts: to be read, newest first. Pages without counting, since these tables grow."""

    ordering: Any = ("-pk",)
    paginator = InfinitePaginator
    show_full_result_count = False
    list_per_page = 50
    #: The kind of the rows' public ids; set together with ``search_fields`` to offer a search.
    public_kind = ""
    #: The way to the person's number, for rows about a person.
    phone_path = ""

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Find by public id, or by number where the text begins with +: each has its index."""
        if not self.public_kind or not (text := search_term.strip()):
            found, may_repeat = super().get_search_results(request, queryset, search_term)
            return found, may_repeat
        if text.startswith("+") and self.phone_path:
            return queryset.filter(**{self.phone_path: _as_e164(text)}), False
        return queryset.filter(pk=public_ids.decode(self.public_kind, text)), False

    @property
    def search_help_text(self) -> str:
        number = ", or a number with + and country code" if self.phone_path else ""
        return f"A public id{number}" if self.public_kind else ""

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        context = {"show_history": False, **(extra_context or {})}  # a fact has none
        return super().changeform_view(request, object_id, form_url, context)

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


def _as_e164(text: str) -> str:
    try:
        return normalize(text)
    except InvalidPhone:
        return ""  # the number of nobody


class RecordInline(TabularInline):
    """Facts shown with the row they belong to."""

    extra = 0
    can_delete = False
    hide_title = True
    show_change_link = False

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
