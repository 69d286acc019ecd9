"""From what people type to E.164, or a sentence that says what to do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identifiers.e164 import InvalidPhone, is_unreal, normalize


@pytest.mark.parametrize(
    ("typed", "region", "phone"),
    [
        ("+14155552671", None, "+14155552671"),
        ("  +1 (415) 555-2671 ", None, "+14155552671"),
        ("+1.415.555.2671", None, "+14155552671"),
        ("+1\u2011415\u2013555\u00a02671", None, "+14155552671"),
        ("(415) 555-2671", "US", "+14155552671"),
        ("1 415 555 2671", "US", "+14155552671"),
        ("+44 20 7946 0958", "US", "+442079460958"),
        ("020 7946 0958", "GB", "+442079460958"),
        ("0049 30 901820", "DE", "+4930901820"),
        ("011 49 30 901820", "US", "+4930901820"),
        ("+１４１５５５５２６７１", None, "+14155552671"),
    ],
)
def test_a_number_as_people_write_it_becomes_e164(typed, region, phone):
    assert normalize(typed, region=region) == phone


@pytest.mark.parametrize(
    ("typed", "region", "phone"),
    [
        ("+13035550100", None, "+13035550100"),
        ("(303) 555-0199", "US", "+13035550199"),
        ("+999 1234", None, "+9991234"),
        ("+999-1234-5678-9012", None, "+999123456789012"),
    ],
)
def test_numbers_that_can_not_exist_are_kept_for_the_simulator(typed, region, phone):
    assert normalize(typed, region=region) == phone
    assert is_unreal(phone)


@pytest.mark.parametrize(
    "phone", ["+14155552671", "+13035550200", "+13035550099", "+442079460958", "+99", "+999123"]
)
def test_numbers_that_can_exist_are_not_for_the_simulator(phone):
    assert not is_unreal(phone)


@pytest.mark.parametrize("typed", ["4155552671", "14155552671", "020 7946 0958", "303 555 0100"])
def test_a_number_without_country_code_is_refused_rather_than_guessed(typed):
    with pytest.raises(InvalidPhone, match=r"with \+ and country code"):
        normalize(typed)


@pytest.mark.parametrize(
    ("typed", "region"),
    [
        ("", None),
        ("+", None),
        ("not a number", "US"),
        ("+1415555267", None),
        ("555 2671", "US"),
        ("911", "US"),
        ("+1 911", None),
        ("+0014155552671", None),
        ("+999123", None),
        ("+9991234567890123", None),
        ("999123456", None),
        ("+14155552671/+14155552672", None),
        ("4155552671, 4155552672", "US"),
        ("9" * 400, "US"),
        ("+1\x00415", "US"),
        ("+1 (415) 555-0101 ext 99", "US"),
        ("tel:+14155552671;ext=5", None),
    ],
)
def test_what_is_no_number_is_refused_with_a_sentence(typed, region):
    with pytest.raises(InvalidPhone) as refusal:
        normalize(typed, region=region)
    sentence = str(refusal.value)
    assert sentence[0].isupper()
    assert sentence.endswith(".")


@given(st.text(max_size=25), st.sampled_from([None, "US", "GB"]))
def test_any_text_gives_a_number_that_stays_as_it_is_or_a_refusal(text, region):
    try:
        phone = normalize(text, region=region)
    except InvalidPhone:
        return
    assert normalize(phone) == phone
