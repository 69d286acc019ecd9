"""Public ids: reversible, opaque, a space of their own for each kind."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identifiers import public_ids
from identifiers.public_ids import LIMIT, decode, encode

KINDS = ("longcode", "identity", "subscriber", "group", "send", "message", "attempt")
KEYS = st.integers(min_value=0, max_value=LIMIT - 1)


@given(st.sampled_from(KINDS), KEYS)
def test_a_public_id_leads_back_to_its_row(kind, key):
    assert decode(kind, encode(kind, key)) == key
    assert decode(kind, str(encode(kind, key))) == key


@given(st.sampled_from(KINDS), KEYS)
def test_every_number_in_range_is_the_public_id_of_one_row(kind, number):
    key = decode(kind, number)
    assert key is not None
    assert encode(kind, key) == number


def test_rows_in_order_have_different_public_ids_in_no_order():
    found = [encode("message", key) for key in range(2_000)]
    assert len(set(found)) == 2_000
    rises = sum(later > earlier for earlier, later in pairwise(found))
    assert 800 < rises < 1_200


def test_public_ids_survive_json_readers_that_use_doubles():
    found = [encode("message", key) for key in (0, 1, LIMIT - 1)]
    assert [int(float(number)) for number in found] == found
    assert max(found) < 2**52


def test_each_kind_has_public_ids_of_its_own():
    assert len({encode(kind, 1) for kind in KINDS}) == len(KINDS)
    assert decode("subscriber", encode("message", 1)) != 1


def test_another_key_makes_other_public_ids(settings):
    before = encode("message", 1)
    settings.PUBLIC_ID_KEY = "another-key-" + "z" * 40
    assert encode("message", 1) != before


@pytest.mark.parametrize(
    "garbage",
    ["", " ", "abc", "12x", "1.5", "-1", -1, LIMIT, str(LIMIT), "9" * 5_000, "0x10", "\x00", None],
)
def test_what_can_not_be_a_public_id_names_no_row(garbage):
    assert decode("message", garbage) is None


@pytest.mark.parametrize("key", [-1, LIMIT])
def test_a_row_key_out_of_range_is_refused(key):
    with pytest.raises(ValueError, match="out of range"):
        public_ids.encode("message", key)
