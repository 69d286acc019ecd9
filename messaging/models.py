"""What is said, to whom, by which way, and what became of it.

Message, Attempt and Event are the hot tables: bigint keys, no foreign-key constraints (their
parents are never deleted; ``manage.py check_integrity`` looks instead), and no index on a column
that changes while a message travels, so that its one update stays inside the page (HOT).
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone
from simple_history.models import HistoricalRecords

from identifiers import public_ids
from messaging.states import ANSWERED, CLOSED, AttemptState, MessageState, SendState
from senders.gateways.contract import Route, TapbackKind
from senders.models import Gateway, Lane, Longcode, SenderIdentity
from subscribers.models import Subscriber


def _choices(words: type[Any]) -> list[tuple[str, str]]:
    return [(word.value, word.value.replace("_", " ").capitalize()) for word in words]


def _one_of(column: str, words: type[Any]) -> Q:
    return Q(**{f"{column}__in": [word.value for word in words]})


class Template(models.Model):
    """A text to send again. Changing it makes a new version; sends keep the version they used."""

    name = models.CharField(max_length=80)
    body = models.TextField()
    archived_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(auto_now=True)
    history = HistoricalRecords()

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(Lower("name"), name="template_name_unique")]

    def __str__(self) -> str:
        return self.name

    @property
    def public_id(self) -> int:
        return public_ids.encode("template", self.pk)


class Send(models.Model):
    """One thing to say to an audience: a broadcast to thousands, or a reply to one person.

    Everything that goes out is a send, so that there is one way to a carrier. ``longcode`` is the
    number for SMS; ``identity`` is set when iMessage is asked for.
    """

    class Kind(models.TextChoices):
        BROADCAST = "broadcast", "Broadcast"
        TRANSACTIONAL = "transactional", "Transactional"
        REPLY = "reply", "Reply"
        AUTO_REPLY = "auto_reply", "Automatic reply"
        #: The one confirmation of a STOP, and answers to HELP: the only texts that an opt-out lets
        #: pass.
        COMPLIANCE = "compliance", "Confirmation"

    class Origin(models.TextChoices):
        CONSOLE = "console", "Console"
        API = "api", "API"
        SYSTEM = "system", "Tapback"

    class UnknownPolicy(models.TextChoices):
        HOLD = "hold", "Hold for a person to decide"
        FALL_BACK = "fall_back", "Send by SMS"

    kind = models.CharField(max_length=13, choices=Kind.choices, default=Kind.BROADCAST)
    name = models.CharField(max_length=120, blank=True)
    state = models.CharField(
        max_length=9, choices=_choices(SendState), default=SendState.DRAFT.value
    )

    body = models.TextField(help_text="The text with its merge fields.")
    template = models.ForeignKey(Template, null=True, blank=True, on_delete=models.PROTECT)
    media_urls = models.JSONField(default=list, blank=True)

    identity = models.ForeignKey(
        SenderIdentity, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    longcode = models.ForeignKey(Longcode, on_delete=models.PROTECT, related_name="+")
    #: Reasons that may fall back to SMS; null means all of them.
    fallback_reasons = ArrayField(models.CharField(max_length=32), null=True, blank=True)
    unknown_policy = models.CharField(
        max_length=9, choices=UnknownPolicy.choices, default=UnknownPolicy.HOLD
    )

    to_everyone = models.BooleanField(default=False)
    group_ids = ArrayField(models.BigIntegerField(), default=list, blank=True)
    excluded_group_ids = ArrayField(models.BigIntegerField(), default=list, blank=True)
    subscriber_ids = ArrayField(models.BigIntegerField(), default=list, blank=True)

    scheduled_at = models.DateTimeField(null=True, blank=True)
    #: The moment at which the audience was frozen: who joined later is not in it.
    audience_at = models.DateTimeField(null=True, blank=True)
    #: Everybody up to this subscriber key has their message.
    expanded_to = models.BigIntegerField(default=0)
    expanded_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    #: What was foreseen when a person started it: [route, reason, people] for each way.
    forecast = models.JSONField(null=True, blank=True, editable=False)

    external_id = models.CharField(max_length=200, blank=True)
    tags = models.JSONField(default=dict, blank=True)
    origin = models.CharField(max_length=8, choices=Origin.choices, default=Origin.CONSOLE)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="send_state_is_known", condition=_one_of("state", SendState)
            ),
            # An answer that is sent twice at the same moment, from the same form, is one.
            models.UniqueConstraint(
                fields=["external_id"],
                name="send_reply_once",
                condition=Q(kind="reply") & ~Q(external_id=""),
            ),
            models.CheckConstraint(
                name="send_under_way_has_frozen_audience",
                condition=Q(state__in=["draft", "scheduled", "cancelled", "failed"])
                | Q(audience_at__isnull=False),
            ),
            models.CheckConstraint(
                name="send_scheduled_has_moment",
                condition=~Q(state="scheduled") | Q(scheduled_at__isnull=False),
            ),
        ]
        indexes = [
            # The sweep: what is due to start, and what is under way.
            models.Index(
                fields=["state", "scheduled_at"],
                name="send_open",
                condition=Q(state__in=["scheduled", "expanding", "sending"]),
            ),
            # The list of sends, newest first, without replies.
            models.Index(
                fields=["-id"],
                name="send_listed",
                condition=Q(kind__in=["broadcast", "transactional"]),
            ),
        ]

    def __str__(self) -> str:
        return self.name or f"Send {self.public_id}"

    @property
    def public_id(self) -> int:
        return public_ids.encode("send", self.pk)


class Message(models.Model):
    """One text to or from one person.

    ``first_route`` is the way that was asked for, ``route`` the way it went or will go, ``reason``
    why the two differ, or why it goes nowhere. ``leg`` counts the ways tried and names the attempt
    whose state this message shows. Of an inbound message, ``gateway_message_id`` is the carrier's
    id.
    """

    class Direction(models.TextChoices):
        OUT = "out", "Out"
        IN = "in", "In"

    direction = models.CharField(max_length=3, choices=Direction.choices)
    send = models.ForeignKey(
        Send, null=True, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False
    )
    subscriber = models.ForeignKey(
        Subscriber, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False
    )
    longcode = models.ForeignKey(
        Longcode, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False
    )
    identity = models.ForeignKey(
        SenderIdentity, null=True, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False
    )
    first_route = models.CharField(max_length=8, choices=_choices(Route), blank=True)
    route = models.CharField(max_length=8, choices=_choices(Route), blank=True)
    reason = models.CharField(max_length=32, blank=True)
    state = models.CharField(max_length=10, choices=_choices(MessageState))
    leg = models.PositiveSmallIntegerField(default=0)
    error_code = models.CharField(max_length=32, blank=True)
    body = models.TextField(blank=True)
    segments = models.PositiveSmallIntegerField(default=0)
    media_urls = models.JSONField(default=list, blank=True)
    gateway = models.ForeignKey(
        Gateway, null=True, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False
    )
    gateway_message_id = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    state_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            # Nobody is texted twice by one send. Serves a send's own list too.
            models.UniqueConstraint(
                fields=["send", "subscriber"],
                name="message_once_per_send",
                condition=Q(direction="out"),
            ),
            # A carrier that reports the same inbound message twice.
            models.UniqueConstraint(
                fields=["gateway", "gateway_message_id"],
                name="message_received_once",
                condition=Q(direction="in"),
            ),
            models.CheckConstraint(
                name="message_state_is_known", condition=_one_of("state", MessageState)
            ),
            models.CheckConstraint(
                name="message_out_has_send",
                condition=Q(direction="in") | Q(send__isnull=False),
            ),
        ]
        indexes = [
            # A person's thread and timeline, newest first.
            models.Index(fields=["subscriber", "-id"], name="message_of_person"),
            # The audit: everything that did not go its first way, newest first.
            models.Index(
                fields=["-id"],
                name="message_audit",
                condition=Q(direction="out") & ~Q(reason=""),
            ),
            # The dashboard's days.
            models.Index(fields=["created_at"], name="message_by_day"),
        ]

    def __str__(self) -> str:
        return f"Message {self.public_id}"

    @property
    def public_id(self) -> int:
        return public_ids.encode("message", self.pk)


class Batch(models.Model):
    """A few seconds' worth of queued messages of one lane and one send: the unit of claim.

    Rows exist for open work only; a settled batch is deleted. ``message_ids`` are in the order in
    which they are handed over; those up to ``handed`` may have left when a lease runs out, the
    others have provably not.
    """

    class State(models.TextChoices):
        OPEN = "open", "Open"
        PAUSED = "paused", "Paused"
        LEASED = "leased", "Leased"

    MOST = 500

    lane = models.ForeignKey(Lane, on_delete=models.PROTECT, related_name="batches")
    send = models.ForeignKey(Send, on_delete=models.PROTECT, related_name="batches")
    route = models.CharField(max_length=8, choices=_choices(Route))
    priority = models.PositiveSmallIntegerField()
    message_ids = ArrayField(models.BigIntegerField())
    due_at = models.DateTimeField(default=timezone.now)
    state = models.CharField(max_length=6, choices=State.choices, default=State.OPEN)
    lease = models.UUIDField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    handed = models.PositiveSmallIntegerField(default=0)

    class Meta:
        verbose_name_plural = "batches"
        constraints = [
            models.CheckConstraint(
                name="batch_leased_has_lease",
                condition=Q(state="leased", lease__isnull=False, lease_until__isnull=False)
                | Q(~Q(state="leased"), lease__isnull=True, lease_until__isnull=True),
            ),
        ]
        indexes = [
            # The claim: a lane's next batch.
            models.Index(
                fields=["lane", "priority", "due_at", "id"],
                name="batch_due",
                condition=Q(state="open"),
            ),
            # The sweep: leases that ran out.
            models.Index(fields=["lease_until"], name="batch_leased", condition=Q(state="leased")),
        ]

    def __str__(self) -> str:
        return f"Batch {self.pk}"


class Attempt(models.Model):
    """One leg tried: the message on one route through one gateway. Its public id is the reference
    that the carrier gets, and may echo."""

    message = models.ForeignKey(
        Message, on_delete=models.DO_NOTHING, db_constraint=False, related_name="attempts"
    )
    number = models.PositiveSmallIntegerField()
    lane = models.ForeignKey(Lane, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)
    gateway = models.ForeignKey(
        Gateway, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False
    )
    route = models.CharField(max_length=8, choices=_choices(Route))
    state = models.CharField(
        max_length=9, choices=_choices(AttemptState), default=AttemptState.CLAIMED.value
    )
    gateway_message_id = models.CharField(max_length=200, blank=True)
    error_code = models.CharField(max_length=32, blank=True)
    detail = models.CharField(max_length=200, blank=True)
    claimed_at = models.DateTimeField(default=timezone.now)
    answered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="attempt_state_is_known", condition=_one_of("state", AttemptState)
            ),
            # Nobody is texted twice: a second attempt needs the first to be over.
            models.UniqueConstraint(
                fields=["message"],
                name="attempt_one_open_per_message",
                condition=~Q(state__in=sorted(CLOSED)),
            ),
            models.UniqueConstraint(
                fields=["message", "number"], name="attempt_number_once_per_message"
            ),
            # Finds the attempt that a callback names.
            models.UniqueConstraint(
                fields=["gateway", "gateway_message_id"],
                name="attempt_carrier_id_once",
                condition=~Q(gateway_message_id=""),
            ),
            models.CheckConstraint(
                name="attempt_answered_has_moment",
                condition=~Q(state__in=sorted(ANSWERED)) | Q(answered_at__isnull=False),
            ),
        ]
        indexes = [
            # Open unknowns: looked up, listed in the audit.
            models.Index(fields=["id"], name="attempt_unknown", condition=Q(state="unknown")),
        ]

    def __str__(self) -> str:
        return f"Attempt {self.public_id}"

    @property
    def public_id(self) -> int:
        return public_ids.encode("attempt", self.pk)


class Event(models.Model):
    """A change of state with its reason, in the transaction that made it. Append-only: history,
    audit and outbox in one.

    Events of a message carry its person too; events of a send as a whole don't.
    """

    class Kind(models.TextChoices):
        SEND = "send", "Send"
        STATE = "state", "State"
        LATE_REPORT = "late_report", "Late report"
        RECEIVED = "received", "Received"
        REROUTED = "rerouted", "Rerouted"
        OPT_IN = "opt_in", "Opt-in"
        OPT_OUT = "opt_out", "Opt-out"
        TAPBACK = "tapback", "Tapback"
        READ = "read", "Read by us"

    kind = models.CharField(max_length=11, choices=Kind.choices)
    send_id = models.BigIntegerField(null=True)
    subscriber_id = models.BigIntegerField(null=True)
    message_id = models.BigIntegerField(null=True)
    attempt_id = models.BigIntegerField(null=True)
    old = models.CharField(max_length=10, blank=True)
    new = models.CharField(max_length=10, blank=True)
    route = models.CharField(max_length=8, blank=True)
    reason = models.CharField(max_length=32, blank=True)
    detail = models.CharField(max_length=200, blank=True)
    actor_id = models.BigIntegerField(null=True)
    #: When it happened, by the carrier's clock where it told; ``recorded_at`` is ours.
    at = models.DateTimeField(default=timezone.now)
    recorded_at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [
            # A person's timeline, and what is new in a thread since event n.
            models.Index(
                fields=["subscriber_id", "id"],
                name="event_of_person",
                condition=Q(subscriber_id__isnull=False),
            ),
            models.Index(
                fields=["send_id", "id"],
                name="event_of_send",
                condition=Q(subscriber_id__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"Event {self.pk}"


class Conversation(models.Model):
    """What one person and one longcode (with its identity) say to each other. Made when the person
    writes, or staff write to them. Its last words and unread count are kept on the row."""

    MOST_PREVIEWED = 200

    subscriber = models.ForeignKey(
        Subscriber, on_delete=models.PROTECT, related_name="conversations"
    )
    longcode = models.ForeignKey(Longcode, on_delete=models.PROTECT, related_name="+")
    #: The identity that the person wrote to last; empty when it was a text to the longcode.
    identity = models.ForeignKey(
        SenderIdentity, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    last_body = models.CharField(max_length=MOST_PREVIEWED, blank=True)
    last_direction = models.CharField(max_length=3, choices=Message.Direction.choices, blank=True)
    last_route = models.CharField(max_length=8, choices=_choices(Route), blank=True)
    last_at = models.DateTimeField(default=timezone.now)
    unread = models.PositiveIntegerField(default=0)
    is_open = models.BooleanField(default=True)
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    #: The person is typing until then, as far as we know.
    typing_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["subscriber", "longcode"], name="conversation_of_person_and_line"
            )
        ]
        indexes = [
            # The inbox: keyset pages, newest first.
            models.Index(fields=["-last_at", "-id"], name="conversation_inbox"),
            models.Index(
                fields=["-last_at", "-id"],
                name="conversation_unread",
                condition=Q(unread__gt=0),
            ),
        ]

    def __str__(self) -> str:
        return f"Conversation {self.public_id}"

    @property
    def public_id(self) -> int:
        return public_ids.encode("conversation", self.pk)


class Tapback(models.Model):
    """A reaction on a message: by the person, or by us."""

    message = models.ForeignKey(
        Message, on_delete=models.DO_NOTHING, db_constraint=False, related_name="tapbacks"
    )
    is_ours = models.BooleanField()
    kind = models.CharField(max_length=9, choices=_choices(TapbackKind))
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            # A new tapback replaces the same side's earlier one.
            models.UniqueConstraint(fields=["message", "is_ours"], name="tapback_one_per_side")
        ]
