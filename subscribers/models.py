"""Who is spoken to, and what they agreed to."""

from __future__ import annotations

import secrets

from django.conf import settings
from django.contrib.postgres.indexes import OpClass
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower, Reverse
from django.utils import timezone

from identifiers import public_ids
from identifiers.e164 import E164_PATTERN
from senders.models import SenderIdentity, e164_validator


class Subscriber(models.Model):
    """A person. ``phone`` is empty (null) for people known by e-mail only: they can't be texted."""

    class Capability(models.TextChoices):
        YES = "yes", "Has iMessage"
        NO = "no", "No iMessage"
        UNKNOWN = "unknown", "Not known"

    class CapabilitySource(models.TextChoices):
        INBOUND = "inbound", "They wrote by iMessage"
        CARRIER = "carrier", "The carrier refused or delivered an iMessage"
        LOOKUP = "lookup", "Looked up at the carrier"
        IMPORT = "import", "Imported"

    phone = models.CharField(
        max_length=16, null=True, blank=True, unique=True, validators=[e164_validator]
    )
    first_name = models.CharField(max_length=80, blank=True)
    last_name = models.CharField(max_length=80, blank=True)
    email = models.EmailField(blank=True)
    attributes = models.JSONField(default=dict, blank=True)
    time_zone = models.CharField(max_length=64, blank=True)
    time_zone_source = models.CharField(max_length=16, blank=True)
    #: Opted out of everything. An opt-out of one identity only is on the OptIn row.
    opted_out_at = models.DateTimeField(null=True, blank=True)
    imessage_capability = models.CharField(
        max_length=8, choices=Capability.choices, default=Capability.UNKNOWN
    )
    imessage_source = models.CharField(max_length=8, choices=CapabilitySource.choices, blank=True)
    imessage_checked_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="subscriber_phone_is_e164",
                condition=Q(phone__isnull=True) | Q(phone__regex=E164_PATTERN),
            ),
            models.CheckConstraint(
                name="subscriber_is_reachable",
                condition=Q(phone__isnull=False) | ~Q(email=""),
            ),
            models.CheckConstraint(
                name="subscriber_capability_is_known_word",
                condition=Q(imessage_capability__in=["yes", "no", "unknown"]),
            ),
            # An e-mail names one person among those who have no number (API look-up by e-mail).
            models.UniqueConstraint(
                Lower("email"),
                name="subscriber_email_only_unique",
                condition=Q(phone__isnull=True),
            ),
        ]
        indexes = [
            # The dispatcher asks every fraction of a second who opted out just now.
            models.Index(
                fields=["opted_out_at"],
                name="subscriber_opted_out_at",
                condition=Q(opted_out_at__isnull=False),
            ),
            # Search by the last digits of a number.
            models.Index(
                OpClass(Reverse("phone"), name="text_pattern_ops"), name="subscriber_phone_reversed"
            ),
            models.Index(Lower("email"), name="subscriber_email_lower"),
            models.Index(
                OpClass(Lower("last_name"), name="text_pattern_ops"), name="subscriber_last_name"
            ),
            models.Index(
                OpClass(Lower("first_name"), name="text_pattern_ops"), name="subscriber_first_name"
            ),
        ]

    def __str__(self) -> str:
        return self.full_name or f"Subscriber {self.public_id}"

    @property
    def full_name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip()

    @property
    def public_id(self) -> int:
        return public_ids.encode("subscriber", self.pk)


class Group(models.Model):
    """A named list of people."""

    name = models.CharField(max_length=120)
    description = models.CharField(max_length=300, blank=True)
    members: models.ManyToManyField[Subscriber, Membership] = models.ManyToManyField(
        Subscriber, through="Membership", related_name="groups"
    )
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(Lower("name"), name="group_name_unique")]

    def __str__(self) -> str:
        return self.name

    @property
    def public_id(self) -> int:
        return public_ids.encode("group", self.pk)


class Membership(models.Model):
    """A person in a group, since when: an audience is frozen at a moment."""

    group = models.ForeignKey(Group, on_delete=models.CASCADE)
    subscriber = models.ForeignKey(Subscriber, on_delete=models.CASCADE)
    joined_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            # Serves expansion too: the members of a group in order of their ids.
            models.UniqueConstraint(fields=["group", "subscriber"], name="membership_unique")
        ]

    def __str__(self) -> str:
        return f"{self.subscriber} in {self.group}"


class OptIn(models.Model):
    """The per-identity flag: whether this person has opted in to this identity, and since when.

    They are opted in while ``opted_in_at`` is set and ``opted_out_at`` is not. ``opted_out_at`` is
    an opt-out of this identity and its longcode only.
    """

    subscriber = models.ForeignKey(Subscriber, on_delete=models.CASCADE, related_name="opt_ins")
    identity = models.ForeignKey(SenderIdentity, on_delete=models.PROTECT, related_name="opt_ins")
    opted_in_at = models.DateTimeField(null=True, blank=True)
    opted_out_at = models.DateTimeField(null=True, blank=True)
    #: The inbound message that proves it (messaging.Message); empty for imported opt-ins.
    proof_message_id = models.BigIntegerField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["subscriber", "identity"], name="opt_in_unique"),
            models.CheckConstraint(
                name="opt_in_says_something",
                condition=Q(opted_in_at__isnull=False) | Q(opted_out_at__isnull=False),
            ),
        ]
        indexes = [
            models.Index(
                fields=["opted_out_at"],
                name="opt_in_opted_out_at",
                condition=Q(opted_out_at__isnull=False),
            ),
            # Expansion joins the opt-ins of one identity over a range of people.
            models.Index(fields=["identity", "subscriber"], name="opt_in_by_identity"),
        ]

    def __str__(self) -> str:
        return f"{self.subscriber} and {self.identity}"

    @property
    def is_opted_in(self) -> bool:
        return self.opted_in_at is not None and self.opted_out_at is None


def _salt() -> str:
    return secrets.token_hex(16)


class ConsentEvent(models.Model):
    """One entry of the consent ledger. Append-only: a database trigger refuses any change, and
    fills in ``position``, ``previous_hash`` and ``hash`` (SHA-256 over the previous hash and this
    entry). ``subscribers.ledger`` writes it.

    The words and addresses that identify a person are in :class:`ConsentEvidence`, of which the
    chain holds only a salted digest, so that a person can be erased while the proof stays whole.
    """

    class Action(models.TextChoices):
        OPT_IN = "opt_in", "Opted in"
        OPT_OUT = "opt_out", "Opted out"
        HELP = "help", "Asked for help"

    class Scope(models.TextChoices):
        IDENTITY = "identity", "One identity"
        EVERYTHING = "everything", "Everything"

    class Source(models.TextChoices):
        MESSAGE = "message", "Inbound message"
        STAFF = "staff", "Staff"
        API = "api", "API"
        IMPORT = "import", "Import"
        CARRIER = "carrier", "Carrier"

    position = models.BigIntegerField(unique=True, editable=False)
    subscriber = models.ForeignKey(
        Subscriber, on_delete=models.PROTECT, related_name="consent_events"
    )
    identity = models.ForeignKey(
        SenderIdentity, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    action = models.CharField(max_length=8, choices=Action.choices)
    scope = models.CharField(max_length=10, choices=Scope.choices)
    source = models.CharField(max_length=8, choices=Source.choices)
    message_id = models.BigIntegerField(null=True, blank=True)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    at = models.DateTimeField()
    evidence_digest = models.CharField(max_length=64)
    previous_hash = models.CharField(max_length=64, editable=False)
    hash = models.CharField(max_length=64, editable=False)

    class Meta:
        ordering = ["position"]
        indexes = [models.Index(fields=["subscriber", "position"], name="consent_by_person")]

    def __str__(self) -> str:
        return f"{self.position}: {self.get_action_display()}"


class ConsentHead(models.Model):
    """The newest entry of the ledger, kept by the trigger in the only row: without it nobody could
    tell that the last entries are missing."""

    position = models.BigIntegerField(editable=False)
    hash = models.CharField(max_length=64, editable=False)

    class Meta:
        constraints = [models.CheckConstraint(name="consent_head_is_one_row", condition=Q(pk=1))]

    def __str__(self) -> str:
        return f"{self.position}:{self.hash}"


class ConsentEvidence(models.Model):
    """The words and addresses behind a ledger entry; may be erased with the person."""

    event = models.OneToOneField(ConsentEvent, on_delete=models.PROTECT, related_name="evidence")
    salt = models.CharField(max_length=32, default=_salt)
    phone = models.CharField(max_length=16, blank=True)
    words = models.TextField(blank=True, help_text="What the person wrote or was shown.")
    address = models.CharField(max_length=45, blank=True)
    user_agent = models.CharField(max_length=300, blank=True)

    def __str__(self) -> str:
        return f"Evidence of {self.event}"
