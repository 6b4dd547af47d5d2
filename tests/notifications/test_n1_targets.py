"""What is shown of addresses: enough for their owners to know them, too little to use them."""

import pytest

from notifications.engine.targets import shown_address, shown_addresses


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("ann@example.com", "a…@example.com"),
        ("U0123456789", "U…"),
        ("123456789", "1…"),
        ("ops-alerts-x7Kq", "o…"),
        ("", ""),
    ],
)
def test_address_is_shown_by_its_first_character(address, shown):
    assert shown_address(address) == shown


def test_several_addresses_stand_in_one_line():
    assert shown_addresses(["ann@example.com", "bob@example.org"]) == (
        "a…@example.com, b…@example.org"
    )
