"""Programs that may call us, and what they already asked."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone


class Token(models.Model):
    """A bearer token. Only its SHA-256 is stored; the text is shown once, when it is made."""

    class Scope(models.TextChoices):
        SEND = "send", "Send messages"
        READ = "read", "Read messages and people"
        SUBSCRIBERS = "subscribers", "Change people and groups"
        WEBHOOKS = "webhooks", "Manage webhooks"

    name = models.CharField(max_length=80)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    hint = models.CharField(max_length=8, editable=False, help_text="The token's last characters.")
    scopes = ArrayField(models.CharField(max_length=16, choices=Scope.choices), default=list)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return f"{self.name} (…{self.hint})"


class IdempotencyKey(models.Model):
    """A request that a program marked with a key. The row is written in the transaction of what
    was asked, so that it is there when that was done, and only then.

    ``answer`` is for dialects that repeat it; Mobile Text Alerts refuses the second request.
    """

    token = models.ForeignKey(Token, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=200)
    request_digest = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(null=True, blank=True)
    answer = models.JSONField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["token", "key"], name="idempotency_key_once")
        ]
