"""The console's forms: what was typed, in the shape that the stages below want it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.models import User
from django.db.models import Count

from identifiers import e164, public_ids
from messaging import compose
from messaging.models import Send, Template
from messaging.routing import FALLBACK_REASONS
from senders.models import Longcode
from subscribers import people
from subscribers.models import Group, Subscriber

MOST_NUMBERS = 2_000
_MOST_FAULTS_SHOWN = 5

#: Where the console shows what ``messaging.compose`` says about a field of its draft.
_PLACES = {
    "template_id": "template",
    "sender_name": "sender",
    "longcode_id": "sender",
    "audience": "groups",
    "group_ids": "groups",
    "excluded_group_ids": "excluded_groups",
    "subscriber_ids": "numbers",
    "scheduled_at": "at",
    "tags": "name",
}


#: The fields that say who gets it.
_AUDIENCE = {"groups", "numbers", "to_everyone"}


class SignInForm(AuthenticationForm):
    error_messages = {
        "invalid_login": "User name and password don’t match. Check both; capitals count.",
        "inactive": "This sign-in has been switched off. Ask the person who gave it to you.",
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].error_messages["required"] = "Enter your user name."
        self.fields["password"].error_messages["required"] = "Enter your password."

    def clean_username(self) -> str:
        name = str(self.cleaned_data["username"])
        longest = User._meta.get_field("username").max_length
        if longest and len(name) > longest:
            raise self.get_invalid_login_error()  # no sign-in has it, and no record could keep it
        return name


class ComposeForm(forms.Form):
    """Everything that the Compose page asks."""

    name = forms.CharField(required=False, strip=True)
    sender = forms.CharField(required=False)
    to_everyone = forms.BooleanField(required=False)
    groups = forms.MultipleChoiceField(required=False)
    numbers = forms.CharField(required=False)
    excluded_groups = forms.MultipleChoiceField(required=False)
    template = forms.CharField(required=False)
    body = forms.CharField(required=False, strip=False)
    media_urls = forms.CharField(required=False)
    when = forms.ChoiceField(required=False, choices=[("now", "now"), ("later", "later")])
    at = forms.DateTimeField(
        required=False,
        error_messages={"invalid": "Enter a date and a time, such as 2027-01-31 09:30."},
    )
    fallback = forms.ChoiceField(required=False, choices=[("all", "all"), ("some", "some")])
    fallback_reasons = forms.MultipleChoiceField(
        required=False, choices=[(reason, reason) for reason in FALLBACK_REASONS]
    )
    unknown_policy = forms.ChoiceField(required=False, choices=Send.UnknownPolicy.choices)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.all_groups = list(Group.objects.order_by("name")[:500])
        choices = [(str(group.public_id), group.name) for group in self.all_groups]
        for name in ("groups", "excluded_groups"):
            field = self.fields[name]
            assert isinstance(field, forms.MultipleChoiceField)
            field.choices = choices
            field.error_messages["invalid_choice"] = (
                "One of these groups does not exist any more. Choose from the list."
            )
        self.phones: list[str] = []
        self.new_phones: list[str] = []

    def clean_sender(self) -> int | None:
        return _key("longcode", self.cleaned_data["sender"], "Choose a sender from the list.")

    def clean_template(self) -> int | None:
        return _key("template", self.cleaned_data["template"], "Choose a template from the list.")

    def sized_groups(self) -> list[Group]:
        """The groups with their ``size``: counted for the page only, not for every forecast."""
        keys = [group.pk for group in self.all_groups]
        counted = Group.objects.filter(pk__in=keys).annotate(size=Count("membership"))
        return list(counted.order_by("name"))

    def clean_groups(self) -> list[int]:
        return _keys("group", self.cleaned_data["groups"])

    def clean_excluded_groups(self) -> list[int]:
        return _keys("group", self.cleaned_data["excluded_groups"])

    def clean_body(self) -> str:
        # A browser sends line ends as CR LF, which would cost two units of a text each.
        return str(self.cleaned_data["body"]).replace("\r\n", "\n").replace("\r", "\n")

    def clean_media_urls(self) -> list[str]:
        return str(self.cleaned_data["media_urls"]).split()

    def clean_numbers(self) -> list[str]:
        entries = [entry.strip() for entry in re.split(r"[\n,;]", self.cleaned_data["numbers"])]
        entries = [entry for entry in entries if entry]
        if len(entries) > MOST_NUMBERS:
            raise forms.ValidationError(
                f"Paste {MOST_NUMBERS:,} numbers or fewer; put more people into a group."
            )
        self.phones, faults = _normalized(entries)
        if faults:
            raise forms.ValidationError(faults)
        return self.phones

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if data.get("when") == "later" and not data.get("at") and "at" not in self.errors:
            self.add_error("at", "Choose the day and time at which it starts.")
        return data

    def described(self) -> Send | None:
        """The send that is described, unsaved; ``None`` when the form says what is wrong with it.

        Nothing is written: numbers that nobody has yet are counted in ``new_phones``.
        """
        self.full_clean()
        known = _known(self.phones)
        self.new_phones = [phone for phone in self.phones if phone not in known]
        draft = self._draft(sorted(known.values()))
        is_new_only = bool(self.new_phones) and not (known or draft.to_everyone or draft.group_ids)
        if is_new_only:
            # For the check only: numbers that are new don't make an audience empty.
            draft = replace(draft, to_everyone=True)
        try:
            send = compose.check(draft)
        except compose.NotValid as error:
            self.tell(error.problems)
        if self.errors:
            return None
        if is_new_only:
            send.to_everyone = False
        return send

    def draft(self) -> compose.Draft:
        """What was typed, and is right, as a draft. Numbers that nobody has yet become people."""
        return self._draft(sorted(people.find_or_create(self.phones).values()))

    def _draft(self, subscriber_ids: Sequence[int]) -> compose.Draft:
        data = self.cleaned_data
        body = data.get("body", "")
        return compose.Draft(
            body=body,
            template_id=data.get("template") if not body.strip() else None,
            media_urls=data.get("media_urls", []),
            longcode_id=data.get("sender"),
            to_everyone=data.get("to_everyone", False),
            group_ids=data.get("groups", []),
            excluded_group_ids=data.get("excluded_groups", []),
            subscriber_ids=subscriber_ids,
            scheduled_at=data.get("at") if data.get("when") == "later" else None,
            fallback_reasons=data.get("fallback_reasons")
            if data.get("fallback") == "some"
            else None,
            unknown_policy=data.get("unknown_policy") or Send.UnknownPolicy.HOLD,
            name=data.get("name", ""),
        )

    def tell(self, problems: Iterable[compose.Problem]) -> None:
        """Show the sentences of ``messaging.compose`` at the fields that they are about.

        A field that is wrong already has been left out, so what follows from that is not said.
        """
        wrong = set(self.errors)
        for problem in problems:
            place = _PLACES.get(problem.field, problem.field)
            follows = place in wrong or (problem.field == "audience" and wrong & _AUDIENCE)
            if not follows:
                self.add_error(place if place in self.fields else None, problem.sentence)


def initial_of(send: Send) -> dict[str, Any]:
    """What the Compose page shows when it begins with an earlier send."""
    phones = Subscriber.objects.filter(pk__in=send.subscriber_ids[:MOST_NUMBERS])
    return {
        "name": send.name,
        "sender": str(send.longcode.public_id),
        "to_everyone": send.to_everyone,
        "groups": [str(public_ids.encode("group", key)) for key in send.group_ids],
        "excluded_groups": [
            str(public_ids.encode("group", key)) for key in send.excluded_group_ids
        ],
        "numbers": "\n".join(phones.exclude(phone=None).values_list("phone", flat=True)),  # type: ignore[arg-type]
        "body": send.body,
        "media_urls": "\n".join(send.media_urls),
        "when": "later" if send.scheduled_at else "now",
        "at": send.scheduled_at,
        "fallback": "all" if send.fallback_reasons is None else "some",
        "fallback_reasons": send.fallback_reasons or [],
        "unknown_policy": send.unknown_policy,
    }


class TemplateForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    class Meta:
        model = Template
        fields = ["name", "body"]
        error_messages = {
            "name": {
                "required": "Give the template a name.",
                "max_length": "Shorten the name to 80 characters.",
            },
            "body": {"required": "Write the text."},
        }

    def clean_name(self) -> str:
        name = str(self.cleaned_data["name"]).strip()
        others = Template.objects.filter(name__iexact=name).exclude(pk=self.instance.pk)
        if others.exists():
            raise forms.ValidationError("A template has this name already. Choose another name.")
        return name

    def clean_body(self) -> str:
        body = str(self.cleaned_data["body"]).replace("\r\n", "\n")
        try:
            compose.check_text(body)
        except compose.NotValid as error:
            raise forms.ValidationError([p.sentence for p in error.problems]) from None
        return body


def _key(kind: str, text: str, sentence: str) -> int | None:
    if not text:
        return None
    key = public_ids.decode(kind, text)
    if key is None:
        raise forms.ValidationError(sentence)
    return key


def _keys(kind: str, texts: Iterable[str]) -> list[int]:
    keys = (public_ids.decode(kind, text) for text in texts)
    return [key for key in keys if key is not None]


def _normalized(entries: Iterable[str]) -> tuple[list[str], list[str]]:
    """Numbers as E.164 in their order without repeats, and a sentence for each that is none."""
    phones: dict[str, None] = {}
    faults: list[str] = []
    for entry in entries:
        try:
            phones[e164.normalize(entry)] = None
        except e164.InvalidPhone as error:
            faults.append(f"“{entry[:30]}”: {error}")
    if len(faults) > _MOST_FAULTS_SHOWN:
        rest = len(faults) - _MOST_FAULTS_SHOWN
        faults = [*faults[:_MOST_FAULTS_SHOWN], f"… and {rest} more that can’t be read."]
    return list(phones), faults


def _known(phones: Sequence[str]) -> dict[str, int]:
    rows = Subscriber.objects.filter(phone__in=phones).values_list("phone", "pk")
    return {phone: key for phone, key in rows if phone}


def senders() -> list[Longcode]:
    """The lines that Compose offers: active longcodes, those with an identity first."""
    rows = Longcode.objects.filter(is_active=True).select_related(
        "identity__gateway", "gateway", "identity"
    )
    return sorted(rows, key=lambda line: (not hasattr(line, "identity"), line.pk))
