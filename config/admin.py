"""The team: who may sign in, and in which role. For superusers; auditors may read it."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import ManyToManyField, QuerySet
from django.forms import ModelForm, ModelMultipleChoiceField
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from config import roles
from senders.record_admin import KeptAdmin

# What the breadcrumb of these screens says.
apps.get_app_config("auth").verbose_name = "Access"

admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class TeamAdmin(UserAdmin, KeptAdmin):  # type: ignore[type-arg]  # no generics at run time
    """People are switched off, never deleted: what they did stays on record under their name."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "full_name", "email", "roles", "is_active", "last_login")
    list_filter = ("is_active", "groups")
    readonly_fields = ("password_link", "last_login", "date_joined")
    filter_horizontal = ()
    fieldsets = (
        (None, {"fields": ["username", "password_link"]}),
        ("Person", {"fields": [("first_name", "last_name"), "email"]}),
        ("Access", {"fields": ["is_active", "groups", "is_superuser"]}),
        ("Moments", {"fields": [("last_login", "date_joined")]}),
    )
    add_fieldsets = (
        (None, {"fields": ["username", "password1", "password2"]}),
        ("Access", {"fields": ["groups"]}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).prefetch_related("groups")

    def formfield_for_manytomany(
        self, db_field: ManyToManyField[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> ModelMultipleChoiceField[Any] | None:
        if db_field.name == "groups":
            return ModelMultipleChoiceField(
                Group.objects.order_by("pk"),
                label="Roles",
                required=False,
                widget=UnfoldAdminCheckboxSelectMultipleWidget,
                help_text="Sender admins and auditors may enter the admin too.",
            )
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def save_related(
        self, request: HttpRequest, form: ModelForm[Any], formsets: Any, change: bool
    ) -> None:
        super().save_related(request, form, formsets, change)
        roles.let_into_admin(form.instance)

    @display(description="Password")
    def password_link(self, user: User) -> SafeString:
        return format_html(
            '<a class="font-medium text-primary-600 dark:text-primary-500" href="{}">{}</a>',
            "../password/",
            "Set a new password",
        )

    @display(description="Name")
    def full_name(self, user: User) -> str:
        return user.get_full_name()

    @display(description="Roles")
    def roles(self, user: User) -> str:
        names = [group.name for group in user.groups.all()]
        return ", ".join(["Superuser"] * user.is_superuser + names) or "None"
