"""The admin's screen of API tokens: which there are and when each was used. Their text is shown
once, where they are made, and is stored nowhere."""

from __future__ import annotations

from django.contrib import admin
from unfold.decorators import display

from api.models import Token
from senders.record_admin import RecordAdmin


@admin.register(Token)
class TokenAdmin(RecordAdmin):
    list_display = (
        "name",
        "ends_in",
        "may",
        "condition",
        "created_by",
        "created_at",
        "last_used_at",
    )
    list_select_related = ("created_by",)
    exclude = ("digest", "hint")
    readonly_fields = ("ends_in",)

    @display(description="Ends in")
    def ends_in(self, token: Token) -> str:
        return f"…{token.hint}"

    @display(description="May")
    def may(self, token: Token) -> str:
        words = dict(Token.Scope.choices)
        return ", ".join(str(words.get(scope, scope)) for scope in token.scopes) or "Nothing"

    @display(description="State", label={"In use": "success", "Revoked": "danger"})
    def condition(self, token: Token) -> str:
        return "Revoked" if token.revoked_at else "In use"
