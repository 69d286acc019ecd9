"""What the admin screens of all apps share: records are read there, and nothing is deleted."""

from __future__ import annotations

from typing import Any

from django.db.models import Model
from django.forms import ModelForm
from django.http import Http404, HttpRequest, HttpResponse
from simple_history.admin import SimpleHistoryAdmin
from unfold.admin import ModelAdmin, TabularInline
from unfold.paginator import InfinitePaginator


class KeptAdmin(ModelAdmin):
    """Rows that others point to: made and changed here, never deleted.

    A change writes the columns that the person changed and no others: the program may have moved
    the rest (a breaker, a status) while the form was open.
    """

    list_disable_select_all = True
    list_fullwidth = True
    list_filter_sheet = False
    actions = None

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

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

    ordering = ("-pk",)
    paginator = InfinitePaginator
    show_full_result_count = False
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class RecordInline(TabularInline):
    """Facts shown with the row they belong to."""

    extra = 0
    can_delete = False
    show_change_link = False

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
