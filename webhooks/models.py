"""Inbound: what carriers told us, as it came."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone

from senders.models import Gateway


class Receipt(models.Model):
    """One verified callback, kept before it is understood; the same one twice is one row."""

    class Outcome(models.TextChoices):
        WAITING = "waiting", "Waiting"
        PROCESSED = "processed", "Processed"
        UNMATCHED = "unmatched", "About a message we don't know"
        MALFORMED = "malformed", "Not understood"
        FAILED = "failed", "Could not be processed"

    gateway = models.ForeignKey(Gateway, on_delete=models.PROTECT, related_name="receipts")
    digest = models.CharField(max_length=64)
    path = models.CharField(max_length=200, blank=True)
    query = models.JSONField(default=dict)
    headers = models.JSONField(default=dict)
    body = models.BinaryField()
    #: It holds nothing but reports on our own messages: what people write is never behind it.
    is_report = models.BooleanField(default=False)
    received_at = models.DateTimeField(default=timezone.now)
    outcome = models.CharField(max_length=10, choices=Outcome.choices, default=Outcome.WAITING)
    tries = models.PositiveSmallIntegerField(default=0)
    next_try_at = models.DateTimeField(default=timezone.now)
    processed_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["gateway", "digest"], name="receipt_once"),
        ]
        indexes = [
            # The processors' queues: what is due, oldest first.
            models.Index(
                fields=["is_report", "next_try_at", "id"],
                name="receipt_waiting",
                condition=Q(outcome="waiting"),
            )
        ]

    def __str__(self) -> str:
        return f"Receipt {self.pk}"
