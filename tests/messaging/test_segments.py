"""What a text costs by SMS, and that SQL and Python agree on it."""

import gsm0338
import pytest
from django.db import connection
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from messaging.segments import BASIC, EXTENSION, count

CODEC = gsm0338.Codec()
GSM = "".join(sorted(BASIC | EXTENSION))
ESCAPE = "\x1b"
EVERY_BMP_CHARACTER = [chr(code) for code in range(1, 0x10000) if not 0xD800 <= code < 0xE000]
# The characters at which the counting can go wrong, far more often than chance would bring them, in
# runs long enough to fill segments.
TRICKY = st.sampled_from("aa\n\f{€€ñç`’\u0394\u0395\uffff\U00010000\U0001f600\U0010ffff")
ANY = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
LENGTHS = st.sampled_from(
    [1, 2, 3, 64, 65, 66, 67, 68, 70, 74, 76, 77, 150, 151, 152, 153, 154, 160]
)
RUNS = st.lists(st.builds(str.__mul__, TRICKY, LENGTHS), max_size=5).map("".join)
TEXTS = RUNS | st.text(TRICKY | ANY, max_size=12)


@pytest.mark.parametrize(
    ("text", "encoding", "units", "segments"),
    [
        ("", "GSM-7", 0, 0),
        ("a", "GSM-7", 1, 1),
        ("a" * 160, "GSM-7", 160, 1),
        ("a" * 161, "GSM-7", 161, 2),
        ("a" * 306, "GSM-7", 306, 2),
        ("a" * 307, "GSM-7", 307, 3),
        ("€" * 80, "GSM-7", 160, 1),
        ("€" * 81, "GSM-7", 162, 2),
        ("é" * 160, "GSM-7", 160, 1),
        ("ç" * 70, "UCS-2", 70, 1),
        ("ç" * 71, "UCS-2", 71, 2),
        ("ç" * 134, "UCS-2", 134, 2),
        ("ç" * 135, "UCS-2", 135, 3),
        ("\U0001f600" * 35, "UCS-2", 70, 1),
        ("\U0001f600" * 36, "UCS-2", 72, 2),
        ("{" + "’" * 69, "UCS-2", 70, 1),
    ],
)
def test_segments_follow_the_standard(text, encoding, units, segments):
    assert count(text)[:3] == (encoding, units, segments)


def test_an_escape_pair_is_not_torn_over_two_segments():
    assert count("a" * 152 + "€" + "a" * 152).units == 306
    assert count("a" * 152 + "€" + "a" * 152).segments == 3
    assert count("a" * 151 + "€" + "a" * 153).segments == 2


def test_a_surrogate_pair_is_not_torn_over_two_segments():
    assert count("ç" * 66 + "\U0001f600" + "ç" * 66).units == 134
    assert count("ç" * 66 + "\U0001f600" + "ç" * 66).segments == 3
    assert count("ç" * 65 + "\U0001f600" + "ç" * 67).segments == 2


def test_the_first_character_outside_gsm_7_is_named():
    assert count("Café’s “new” menu").forced_by == "’"
    assert count("Café").forced_by is None


def _gsm_7_length(text: str) -> int | None:
    """The number of septets by the independent codec; None where it can't encode the text."""
    try:
        return len(CODEC.encode(text)[0])
    except UnicodeEncodeError:
        return None


def test_the_alphabet_is_that_of_the_independent_codec():
    wrong = [
        char
        for char in EVERY_BMP_CHARACTER
        if char != ESCAPE  # the codec takes it for a character; alone it is none
        and _gsm_7_length(char) != (count(char).units if not count(char).forced_by else None)
    ]
    assert wrong == []


@given(st.text(st.sampled_from(GSM), max_size=400))
def test_septets_are_those_of_the_independent_codec(text):
    assert count(text).units == _gsm_7_length(text)


@given(TEXTS)
def test_segments_are_enough_and_not_too_many(text):
    """Tearing nothing costs at most one unit a segment, so the count is within these bounds."""
    found = count(text)
    single, part = (160, 153) if found.encoding == "GSM-7" else (70, 67)
    if found.units <= single:
        assert found.segments == bool(text)
    else:
        assert -(-found.units // part) <= found.segments <= -(-found.units // (part - 1))


@pytest.mark.django_db
@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(TEXTS, min_size=1, max_size=15))
@example([char + "a" * 159 for char in EVERY_BMP_CHARACTER])
@example(
    [
        "a" * before + pair + "a" * after
        for pair in ("€", "\U0001f600")
        for before in range(64, 160)
        for after in (0, 66, 67, 68, 152, 153)
    ]
)
def test_sql_counts_as_python_does(texts):
    with connection.cursor() as cursor:
        cursor.execute(
            "select array_agg(message_segments(body) order by n)"
            " from unnest(%s::text[]) with ordinality as given(body, n)",
            [texts],
        )
        [[by_sql]] = cursor.fetchall()
    assert by_sql == [count(text).segments for text in texts]
