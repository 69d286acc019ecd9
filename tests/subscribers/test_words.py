"""Which messages are commands, and which only look like them."""

import pytest

from subscribers.words import Word, is_opt_in_words, word_of


@pytest.mark.parametrize(
    "body",
    ["STOP", "stop", " Stop. ", "“STOP!”", "\nstop\n", "StopAll", "STOP ALL", "stop-all",
     "Unsubscribe", "cancel", "END", "Quit", "revoke", "OPTOUT", "opt out", "Opt-Out!", "ＳＴＯＰ",
     "STOP 🛑", "STOP ✋\ufe0f", "✋🏽stop", "stop\u200b"],
)  # fmt: skip
def test_stop_words_are_known_whatever_their_case_and_punctuation(body):
    assert word_of(body) is Word.STOP


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ("START", Word.START),
        ("unstop", Word.START),
        ("Yes!", Word.RESTART),
        ("resume", Word.RESTART),
        ("Help?", Word.HELP),
        ("info", Word.HELP),
    ],
)
def test_start_and_help_words_are_known(body, word):
    assert word_of(body) is word


@pytest.mark.parametrize(
    "body",
    ["", " ", "…", "please stop", "stop it", "Stop by at 5?", "non stop", "sto p", "endless",
     "the end", "yes please", "no", "helpful", "stopé"],
)  # fmt: skip
def test_a_word_inside_a_message_is_no_command(body):
    assert word_of(body) is None


@pytest.mark.parametrize(
    "body",
    [
        "Liked “STOP”",
        'Liked "Reply STOP to opt out"',
        "Loved “Spring open house\non May 3”",
        "Laughed at “stop”",
        "Emphasized “STOP”",
        "Questioned “Help”",
        "Disliked “Start”",
        "Loved an image",
        "Liked a movie",
        "Removed a heart from “STOP”",
        "Removed a like from an image",
        "Reacted 🎉 to “stop”",
        "Removed 🎉 from “stop”",
    ],
)
def test_what_a_phone_writes_for_a_tapback_is_no_command(body):
    assert word_of(body) is None


def test_opt_in_words_match_as_a_whole_message():
    assert is_opt_in_words(" hi, please sign me up", "Hi! Please sign me up.")
    assert not is_opt_in_words("Hi! Please sign me up. Thanks", "Hi! Please sign me up.")


def test_an_identity_without_opt_in_words_has_none_that_match():
    assert not is_opt_in_words("", "")
    assert not is_opt_in_words("!", "…")
