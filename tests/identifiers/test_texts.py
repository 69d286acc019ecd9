"""Which texts the database can keep."""

import pytest

from identifiers.texts import can_be_kept, mended


@pytest.mark.parametrize("text", ["", "Ada 🎉", "\u2028\x07"])
def test_a_text_that_can_be_kept_stays_as_it_is(text):
    assert can_be_kept(text)
    assert mended(text) == text


@pytest.mark.parametrize("text", ["a\x00b", "a\ud83cb"])
def test_a_text_that_can_not_be_kept_is_mended_where_it_is_broken(text):
    assert not can_be_kept(text)
    assert mended(text) == "a\ufffdb"
