"""The harness itself: on what the tests run."""

import pytest
from django.db import connection


@pytest.mark.django_db
def test_the_tests_run_on_postgresql() -> None:
    assert connection.vendor == "postgresql"


@pytest.mark.django_db
def test_lower_and_ilike_know_letters_beyond_ascii() -> None:
    with connection.cursor() as cursor:
        cursor.execute("select lower('ÄÖÉ'), 'straÉe' ilike 'STRAéE'")
        assert cursor.fetchone() == ("äöé", True)
