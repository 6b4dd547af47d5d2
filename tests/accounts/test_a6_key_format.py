"""How API keys are written (A6)."""

import re
import zlib

from hypothesis import given
from hypothesis import strategies as st

from accounts.engine import key_format

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def base62(number, width):
    text = ""
    for _ in range(width):
        number, digit = divmod(number, 62)
        text = DIGITS[digit] + text
    return text


def test_a_key_is_prefix_id_secret_and_checksum():
    key_id, key = key_format.make()
    assert len(key) == key_format.LENGTH == 66
    assert re.fullmatch(r"ops_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}", key)
    assert key[4:16] == key_id == key_format.key_id_of(key)
    assert key[60:] == base62(zlib.crc32(key[:60].encode()), 6)


def test_keys_differ():
    made = {key_format.make() for _ in range(1000)}
    assert len({key_id for key_id, _ in made}) == len({key for _, key in made}) == 1000


@given(st.integers(0, 65), st.sampled_from(DIGITS + "_-é "))
def test_one_wrong_character_is_found_without_a_look_up(place, character):
    _, key = key_format.make()
    wrong = key[:place] + character + key[place + 1 :]
    assert wrong == key or key_format.key_id_of(wrong) is None


@given(st.text(max_size=80))
def test_any_text_is_judged_without_an_error(text):
    assert key_format.key_id_of(text) is None
