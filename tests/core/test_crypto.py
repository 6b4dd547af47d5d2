"""Sealing: only the right key, the right place, the unchanged text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import crypto
from core.crypto import UnsealError


@given(plaintext=st.binary(max_size=200))
def test_what_is_sealed_opens_again(plaintext):
    sealed = crypto.seal("key", plaintext, context="a")
    assert crypto.unseal(["other", "key"], sealed, context="a") == plaintext


def test_equal_texts_are_sealed_differently():
    assert crypto.seal("key", b"x", context="a") != crypto.seal("key", b"x", context="a")


@pytest.mark.parametrize(
    ("keys", "context", "change"),
    [
        (["other"], "a", ""),
        (["key"], "b", ""),
        (["key"], "a", "flip"),
        (["key"], "a", "cut"),
        (["key"], "a", "empty"),
    ],
)
def test_anything_else_is_refused(keys, context, change):
    sealed = crypto.seal("key", b"secret", context="a")
    if change == "flip":
        sealed = sealed[:-2] + ("A" if sealed[-2] != "A" else "B") + sealed[-1]
    elif change == "cut":
        sealed = sealed[:20]
    elif change == "empty":
        sealed = ""
    with pytest.raises(UnsealError) as refused:
        crypto.unseal(keys, sealed, context=context)
    assert "secret" not in str(refused.value)
