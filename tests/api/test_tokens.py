"""Tokens."""

import datetime as dt

import pytest
import time_machine
from django.contrib.auth.models import User
from pytest_django import DjangoAssertNumQueries

from api import tokens
from api.models import Token

pytestmark = pytest.mark.django_db


def test_a_tokens_text_is_not_stored() -> None:
    token, text = tokens.issue(name="Shop", scopes=["send"])

    token.refresh_from_db()
    assert text not in repr(vars(token))
    assert token.hint == text[-4:]


def test_no_two_tokens_are_alike() -> None:
    texts = {tokens.issue(name="Shop", scopes=[])[1] for _ in range(20)}

    assert len(texts) == 20
    assert all(len(text) > 40 for text in texts)


@pytest.mark.parametrize(
    ("form", "start"), [("tapback", "tapback_"), ("contiguity", "contiguity_sk_")]
)
def test_a_token_begins_as_its_form_asks(form: str, start: str) -> None:
    _, text = tokens.issue(name="Shop", scopes=["send"], form=form)

    assert text.startswith(start)
    assert tokens.authenticate(f"Bearer {text}").name == "Shop"


def test_a_token_remembers_who_made_it() -> None:
    ada = User.objects.create_user("ada")

    assert tokens.issue(name="Shop", scopes=["send"], by=ada)[0].created_by == ada


def test_an_unknown_scope_is_refused() -> None:
    with pytest.raises(ValueError, match="everything"):
        tokens.issue(name="Shop", scopes=["everything"])
    assert not Token.objects.exists()


@pytest.mark.parametrize("header", ["Bearer {}", "bearer {}", "TOKEN {}", "Token   {} "])
def test_both_schemes_are_taken_in_any_case(header: str) -> None:
    token, text = tokens.issue(name="Shop", scopes=["send"])

    assert tokens.authenticate(header.format(text)) == token


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "{}", "Basic {}", "Bearer x{}", "Bearer \x00", "Bearer \ud800"],
)
def test_anything_else_is_refused(header: str) -> None:
    _, text = tokens.issue(name="Shop", scopes=["send"])

    with pytest.raises(tokens.NotAuthenticated):
        tokens.authenticate(header.format(text))


def test_a_revoked_token_is_refused_and_revoked_once() -> None:
    token, text = tokens.issue(name="Shop", scopes=["send"])

    assert tokens.revoke(token)
    assert not tokens.revoke(token)
    with pytest.raises(tokens.NotAuthenticated):
        tokens.authenticate(f"Bearer {text}")


def test_last_use_is_written_at_most_once_a_minute(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    token, text = tokens.issue(name="Shop", scopes=["send"])
    start = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)

    with time_machine.travel(start, tick=False) as clock:
        tokens.authenticate(f"Bearer {text}")
        clock.shift(59)
        with django_assert_num_queries(1):
            tokens.authenticate(f"Bearer {text}")
        clock.shift(2)
        tokens.authenticate(f"Bearer {text}")

    token.refresh_from_db()
    assert token.last_used_at == start + dt.timedelta(seconds=61)
