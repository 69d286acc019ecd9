"""What a message means for consent, as a table; and the texts that answer by themselves."""

import pytest

from messaging.segments import count
from subscribers.consent_rules import Change, Confirmation, answer_to
from subscribers.wording import confirmation_text

WORDS = "Hi! Please sign me up."
NEW, IN, OUT = (False, False), (False, True), (True, False)
#: Opted in once, then opted out: both may be on record.
OUT_AFTER_IN = (True, True)


@pytest.mark.parametrize(
    ("body", "standing", "change", "confirmation"),
    [
        # Any message to an identity opts in, once, and is welcomed.
        ("hello", NEW, "opt_in", "welcome"),
        ("hello", IN, "nothing", ""),
        (WORDS, NEW, "opt_in", "welcome"),
        ("START", NEW, "opt_in", "welcome"),
        ("yes", NEW, "opt_in", "welcome"),
        ("yes", IN, "nothing", ""),
        ("START", IN, "nothing", ""),
        ("please stop", NEW, "opt_in", "welcome"),
        # STOP always counts, and is confirmed exactly once.
        ("STOP", NEW, "opt_out", "stopped"),
        ("STOP", IN, "opt_out", "stopped"),
        ("STOP", OUT, "opt_out", ""),
        ("Stop all!", OUT_AFTER_IN, "opt_out", ""),
        # HELP is answered always, and opts nobody in or out.
        ("HELP", NEW, "help", "help"),
        ("HELP", IN, "help", "help"),
        ("info", OUT, "help", "help"),
        # After an opt-out, START words and opt-in words opt in again; nothing else does.
        ("START", OUT, "lift", "started"),
        ("unstop", OUT, "lift", "started"),
        ("Yes", OUT, "lift", "started"),
        ("resume", OUT_AFTER_IN, "lift", "started"),
        (WORDS, OUT, "lift", "started"),
        ("hi please sign me up", OUT_AFTER_IN, "lift", "started"),
        ("hello", OUT, "nothing", ""),
        ("hello", OUT_AFTER_IN, "nothing", ""),
        ("Liked “START”", OUT, "nothing", ""),
        # What a phone writes for a tapback is a message, never a word.
        ("Liked “STOP”", NEW, "opt_in", "welcome"),
        ("Liked “Reply STOP to opt out”", IN, "nothing", ""),
    ],
)
def test_what_a_message_to_an_identity_means(body, standing, change, confirmation):
    opted_out, opted_in = standing
    decision = answer_to(body, opt_in_message=WORDS, opted_out=opted_out, opted_in=opted_in)
    assert decision == (Change(change), Confirmation(confirmation))


@pytest.mark.parametrize(
    ("body", "opted_out", "change", "confirmation"),
    [
        ("hello", False, "nothing", ""),
        ("START", False, "nothing", ""),
        ("STOP", False, "opt_out", "stopped"),
        ("STOP", True, "opt_out", ""),
        ("HELP", True, "help", "help"),
        ("START", True, "lift", "started"),
        ("yes", True, "lift", "started"),
        (WORDS, True, "nothing", ""),
        ("hello", True, "nothing", ""),
    ],
)
def test_a_text_to_a_longcode_opts_nobody_in(body, opted_out, change, confirmation):
    decision = answer_to(body, opt_in_message=None, opted_out=opted_out, opted_in=False)
    assert decision == (Change(change), Confirmation(confirmation))


@pytest.mark.parametrize("scope", ["everything", "identity"])
@pytest.mark.parametrize("confirmation", ["stopped", "started", "help"])
def test_every_confirmation_is_one_segment_and_names_the_organisation(
    settings, scope, confirmation
):
    settings.OPT_OUT_SCOPE, settings.ORGANISATION = scope, "O" * 40
    text = confirmation_text(Confirmation(confirmation))
    assert "O" * 40 in text
    assert count(text).segments == 1


def test_the_stop_confirmation_says_what_was_stopped(settings):
    settings.OPT_OUT_SCOPE = "identity"
    assert "from this sender" in confirmation_text(Confirmation.STOPPED)
    settings.OPT_OUT_SCOPE = "everything"
    assert "from us" in confirmation_text(Confirmation.STOPPED)


def test_the_welcome_is_the_identitys_own():
    assert confirmation_text(Confirmation.WELCOME, welcome_text="Hi there!") == "Hi there!"
    assert confirmation_text(Confirmation.WELCOME) == ""
    assert confirmation_text(Confirmation.NONE) == ""
