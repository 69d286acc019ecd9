"""The admin's forms for gateways, lines and an identity's status."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator, validate_email
from django.db.models import Q
from unfold.widgets import (
    UnfoldAdminPasswordToggleWidget,
    UnfoldAdminRadioSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from identifiers.e164 import InvalidPhone, normalize
from senders.gateways.contract import Adapter, CredentialField, Route
from senders.gateways.registry import ADAPTERS
from senders.identities import REASON_MOST
from senders.models import Gateway, Longcode, SenderIdentity

Status = SenderIdentity.Status


def carriers() -> dict[str, str]:
    """The carriers that this version has: kind and label."""
    return {kind: adapter.label for kind, adapter in ADAPTERS.items()}


def carrier_label(gateway: Gateway) -> str:
    return carriers().get(gateway.kind, f"{gateway.kind} (not in this version)")


def _speaks(gateway: Gateway, route: Route) -> bool:
    adapter = ADAPTERS.get(gateway.kind)
    return adapter is not None and route in adapter.capabilities.routes


# A gateway and its credentials.


class GatewayForm(forms.ModelForm):  # type: ignore[type-arg]  # no generics at run time
    """The fields that every carrier's gateway has; :func:`gateway_form` adds the credentials.

    Credentials are write-only: a field says whether one is stored, never what, and an empty field
    keeps it.
    """

    kind: ClassVar[str] = ""
    credential_fields: ClassVar[tuple[CredentialField, ...]] = ()

    class Meta:
        model = Gateway
        fields = ("name", "is_paused")  # the admin's fieldsets choose
        labels: ClassVar = {"base_url": "Address at the carrier", "is_paused": "Paused"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.kind:
            self.instance.kind = self.kind
        for spec in self.credential_fields:
            field = self.fields[credential_name(spec)]
            is_set = bool(self.instance.credentials.get(spec.name))
            field.required = spec.is_required and not is_set
            field.widget.attrs["placeholder"] = (
                "Set. Leave empty to keep it." if is_set else "Not set."
            )
            if removal_name(spec) in self.fields and not is_set:
                del self.fields[removal_name(spec)]

    def save(self, commit: bool = True) -> Gateway:
        self.instance.credentials = self._credentials()
        gateway: Gateway = super().save(commit)
        return gateway

    @property
    def changes_credentials(self) -> bool:
        """Whether saving this form changes what is stored of the credentials."""
        return bool(
            {
                name(spec)
                for spec in self.credential_fields
                for name in (credential_name, removal_name)
            }
            & set(self.changed_data)
        )

    def _credentials(self) -> dict[str, str]:
        credentials = dict(self.instance.credentials)
        for spec in self.credential_fields:
            if self.cleaned_data.get(removal_name(spec)):
                credentials.pop(spec.name, None)
            if given := self.cleaned_data.get(credential_name(spec)):
                credentials[spec.name] = given
        return credentials


def credential_name(spec: CredentialField) -> str:
    """The form field of a credential."""
    return f"credential_{spec.name}"


def removal_name(spec: CredentialField) -> str:
    """The form field that removes a credential which the carrier does not insist on."""
    return f"remove_{spec.name}"


def gateway_form(kind: str) -> type[GatewayForm]:
    """The form for gateways of one carrier, made from the credentials that it declares."""
    adapter = ADAPTERS.get(kind)
    if adapter is None:
        return GatewayForm
    fields: dict[str, Any] = {
        "kind": kind,
        "credential_fields": tuple(adapter.credential_fields),
        "__module__": __name__,
    }
    for spec in adapter.credential_fields:
        fields[credential_name(spec)] = _credential_field(spec)
        if not spec.is_required:
            fields[removal_name(spec)] = forms.BooleanField(
                label=f"Remove the stored {spec.label}",
                required=False,
                widget=UnfoldBooleanSwitchWidget,
            )
    return type("GatewayForm", (GatewayForm,), fields)


def _credential_field(spec: CredentialField) -> forms.CharField:
    return forms.CharField(
        label=spec.label,
        help_text=spec.help_text,
        max_length=4000,
        # A character that can't be seen, pasted with a key, would fail every message.
        validators=[
            RegexValidator(
                r"\A[ -~]+\Z",
                f"Type the {spec.label} or copy it again: it holds a character that no key has.",
            )
        ],
        widget=UnfoldAdminPasswordToggleWidget(attrs={"autocomplete": "new-password"}),
        error_messages={"required": f"Give the {spec.label}: the carrier insists on it."},
    )


def credential_fieldset(adapter: type[Adapter], gateway: Gateway | None) -> list[str]:
    """The names of the form's credential fields, in the carrier's order."""
    names = []
    for spec in adapter.credential_fields:
        names.append(credential_name(spec))
        if gateway is not None and not spec.is_required and gateway.credentials.get(spec.name):
            names.append(removal_name(spec))
    return names


# Lines.


def _as_e164(text: str) -> str:
    try:
        return normalize(text)
    except InvalidPhone as error:
        raise ValidationError(str(error)) from None


class LongcodeForm(forms.ModelForm):  # type: ignore[type-arg]  # no generics at run time
    number = forms.CharField(
        max_length=40,  # as people write it; stored as E.164
        widget=UnfoldAdminTextInputWidget,
        help_text="With + and country code, such as +1 415 555 0101. It can't be changed later.",
    )

    class Meta:
        model = Longcode
        fields = "__all__"  # noqa: DJ007  the admin's fieldsets choose

    def clean_number(self) -> str:
        return _as_e164(self.cleaned_data["number"])

    def clean_gateway(self) -> Gateway:
        gateway: Gateway = self.cleaned_data["gateway"]
        if not _speaks(gateway, Route.SMS):
            raise ValidationError("This gateway's carrier sends no SMS. Choose another gateway.")
        return gateway


class IdentityForm(forms.ModelForm):  # type: ignore[type-arg]  # no generics at run time
    class Meta:
        model = SenderIdentity
        fields = "__all__"  # noqa: DJ007  the admin's fieldsets choose
        labels: ClassVar = {"opt_in_message": "Opt-in words"}
        widgets: ClassVar = {"welcome_text": UnfoldAdminTextareaWidget(attrs={"rows": 3})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "longcode" in self.fields:
            free = Q(identity__isnull=True) | Q(identity=self.instance.pk)
            field = self.fields["longcode"]
            assert isinstance(field, forms.ModelChoiceField)
            field.queryset = Longcode.objects.filter(free)

    def clean_handle(self) -> str:
        handle: str = self.cleaned_data["handle"].strip()
        if "@" not in handle:
            return _as_e164(handle)
        validate_email(handle)
        return handle.lower()

    def clean_gateway(self) -> Gateway:
        gateway: Gateway = self.cleaned_data["gateway"]
        if not _speaks(gateway, Route.IMESSAGE):
            raise ValidationError("This gateway's carrier has no iMessage. Choose another gateway.")
        return gateway


# An identity's status.

STATUS_MEANS: dict[str, str] = {
    Status.ACTIVE: "It sends and receives iMessages.",
    Status.DISABLED: "Switched off by you. Its people get SMS from the attached longcode.",
    Status.BLOCKED: "The carrier has blocked it for now. Its people get SMS.",
    Status.BANNED: "The carrier has banned it for good. Its people get SMS.",
}

#: By label, as badges show it.
STATUS_TONES: dict[str, str] = {
    Status.ACTIVE.label: "success",
    Status.DISABLED.label: "warning",
    Status.BLOCKED.label: "danger",
    Status.BANNED.label: "danger",
}


class StatusForm(forms.Form):
    """The new status and the reason; ``seen`` is the status that the person decided on."""

    seen = forms.ChoiceField(choices=Status.choices, widget=forms.HiddenInput)
    to = forms.ChoiceField(
        label="New status",
        widget=UnfoldAdminRadioSelectWidget,
        error_messages={"required": "Choose the new status."},
    )
    reason = forms.CharField(
        label="Reason",
        max_length=REASON_MOST,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="Kept in the history with your name and the moment.",
        error_messages={
            "required": "Write why the status changes: it is kept in the history.",
            "max_length": f"Shorten the reason to {REASON_MOST} characters or fewer.",
        },
    )

    def __init__(self, *args: Any, identity: SenderIdentity, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial.setdefault("seen", identity.status)
        to = self.fields["to"]
        assert isinstance(to, forms.ChoiceField)
        to.choices = [
            (status.value, f"{status.label}. {STATUS_MEANS[status]}")
            for status in Status
            if status != identity.status
        ]
