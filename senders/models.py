"""Who speaks, and through what."""

from __future__ import annotations

import secrets
from datetime import datetime
from decimal import Decimal

from django.conf import settings
from django.core.validators import MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from simple_history.models import HistoricalRecords

from identifiers import public_ids
from identifiers.e164 import E164_PATTERN
from senders.encrypted import EncryptedJSONField

e164_validator = RegexValidator(
    E164_PATTERN, "Write the number with + and country code, such as +14155550101."
)


def _callback_token() -> str:
    return secrets.token_urlsafe(24)


class Gateway(models.Model):
    """An account at a carrier: where calls go and callbacks come from."""

    #: So many failures in a row to reach the carrier open the breaker.
    BREAKER_THRESHOLD = 5

    kind = models.CharField(max_length=32, help_text="Which carrier this is an account of.")
    name = models.CharField(max_length=80, unique=True)
    base_url = models.URLField(max_length=300)
    credentials = EncryptedJSONField(default=dict, blank=True, editable=False)
    callback_token = models.CharField(
        max_length=64, unique=True, default=_callback_token, editable=False
    )
    is_paused = models.BooleanField(
        default=False,
        help_text="While paused, iMessages of its identities go by SMS and its own texts wait.",
    )
    consecutive_failures = models.PositiveIntegerField(default=0, editable=False)
    breaker_open_until = models.DateTimeField(null=True, blank=True, editable=False)
    last_inbound_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_delivery_at = models.DateTimeField(null=True, blank=True, editable=False)
    refused_callbacks = models.PositiveIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    history = HistoricalRecords(
        excluded_fields=[
            "credentials",
            "callback_token",
            "consecutive_failures",
            "breaker_open_until",
            "last_inbound_at",
            "last_delivery_at",
            "refused_callbacks",
        ]
    )

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def callback_url(self) -> str:
        """Where the carrier calls us; ends in a slash."""
        return f"{settings.PUBLIC_URL}/hooks/{self.callback_token}/"

    def is_available(self, at: datetime | None = None) -> bool:
        """Whether messages may be handed to it now: not paused, breaker not open."""
        now = at or timezone.now()
        breaker_open = self.breaker_open_until is not None and self.breaker_open_until > now
        return not self.is_paused and not breaker_open

    @property
    def is_on_probation(self) -> bool:
        """The breaker was open and nothing has succeeded since: only a trickle may pass."""
        return self.consecutive_failures >= self.BREAKER_THRESHOLD


class Longcode(models.Model):
    """One of your SMS/MMS numbers."""

    number = models.CharField(max_length=16, unique=True, validators=[e164_validator])
    label = models.CharField(max_length=80, blank=True)
    gateway = models.ForeignKey(Gateway, on_delete=models.PROTECT, related_name="longcodes")
    messages_per_second = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(0.01)],
        help_text="The carrier's throughput for this number. Empty: no limit of ours.",
    )
    price_per_segment = models.DecimalField(
        max_digits=8, decimal_places=5, default=Decimal(0), validators=[MinValueValidator(0)]
    )
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    history = HistoricalRecords()

    class Meta:
        ordering = ["number"]
        constraints = [
            models.CheckConstraint(
                name="longcode_number_is_e164", condition=Q(number__regex=E164_PATTERN)
            ),
            models.CheckConstraint(
                name="longcode_rate_is_positive",
                condition=Q(messages_per_second__isnull=True) | Q(messages_per_second__gt=0),
            ),
            models.CheckConstraint(
                name="longcode_price_not_negative", condition=Q(price_per_segment__gte=0)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.number} {self.label}".strip()

    @property
    def public_id(self) -> int:
        return public_ids.encode("longcode", self.pk)


class SenderIdentity(models.Model):
    """An iMessage account attached to a longcode. Its ``name`` is the API's ``senderName``."""

    class Status(models.TextChoices):
        ACTIVE = "active", "Active"
        DISABLED = "disabled", "Disabled"
        BLOCKED = "blocked", "Blocked"
        BANNED = "banned", "Banned"

    name = models.CharField(
        max_length=120, unique=True, help_text="What API calls give as senderName."
    )
    handle = models.CharField(
        max_length=120, unique=True, help_text="The account's iMessage address (number or e-mail)."
    )
    longcode = models.OneToOneField(
        Longcode,
        on_delete=models.PROTECT,
        related_name="identity",
        help_text="The number that texts people whom iMessage can't reach.",
    )
    gateway = models.ForeignKey(Gateway, on_delete=models.PROTECT, related_name="identities")
    status = models.CharField(
        max_length=10, choices=Status.choices, default=Status.ACTIVE, editable=False
    )
    opt_in_message = models.CharField(
        max_length=300,
        default="Hi! Please sign me up.",
        help_text="The words that an opt-in link fills in for the person.",
    )
    welcome_text = models.TextField(
        blank=True, help_text="Sent once when a person opts in. Empty: nothing is sent."
    )
    messages_per_second = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(0.01)],
        help_text="How fast this account may speak. Empty: no limit of ours.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    history = HistoricalRecords(excluded_fields=["status"])

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "sender identities"
        constraints = [
            models.CheckConstraint(
                name="identity_status_is_known",
                condition=Q(status__in=["active", "disabled", "blocked", "banned"]),
            ),
            models.CheckConstraint(
                name="identity_rate_is_positive",
                condition=Q(messages_per_second__isnull=True) | Q(messages_per_second__gt=0),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def public_id(self) -> int:
        return public_ids.encode("identity", self.pk)


class IdentityStatusChange(models.Model):
    """Who or what changed an identity's status, and why. Append-only."""

    identity = models.ForeignKey(
        SenderIdentity, on_delete=models.PROTECT, related_name="status_changes"
    )
    old = models.CharField(max_length=10, choices=SenderIdentity.Status.choices)
    new = models.CharField(max_length=10, choices=SenderIdentity.Status.choices)
    reason = models.CharField(max_length=300)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    source = models.CharField(max_length=20, choices=[("person", "Person"), ("carrier", "Carrier")])
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(name="status_change_has_reason", condition=~Q(reason="")),
            models.CheckConstraint(name="status_change_changes", condition=~Q(old=models.F("new"))),
        ]

    def __str__(self) -> str:
        return f"{self.identity}: {self.old} → {self.new}"


class Lane(models.Model):
    """One line's way out: an identity's iMessage account or a longcode. Holds its pace.

    ``next_at`` is a leaky bucket: a claim of n messages moves it by n ÷ rate; a carrier that asks
    us to slow down moves it too.
    """

    identity = models.OneToOneField(
        SenderIdentity, null=True, on_delete=models.PROTECT, related_name="lane"
    )
    longcode = models.OneToOneField(
        Longcode, null=True, on_delete=models.PROTECT, related_name="lane"
    )
    next_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="lane_is_of_one_line",
                condition=Q(identity__isnull=True, longcode__isnull=False)
                | Q(identity__isnull=False, longcode__isnull=True),
            )
        ]

    def __str__(self) -> str:
        return str(self.line)

    @property
    def line(self) -> SenderIdentity | Longcode:
        line = self.identity or self.longcode
        assert line is not None  # lane_is_of_one_line
        return line

    @property
    def gateway(self) -> Gateway:
        return self.line.gateway

    @property
    def messages_per_second(self) -> float | None:
        return self.line.messages_per_second
