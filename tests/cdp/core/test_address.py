"""Addresses as they may be kept."""

import pytest

from cdp.core.address import shortened


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("203.0.113.77", "203.0.113.0"),
        ("2001:db8:1:2:3::9", "2001:db8:1::"),
        ("::ffff:203.0.113.77", "203.0.113.0"),
        ("fe80::1%eth0", "fe80::"),
        ("::1", "::"),
        ("", ""),
        ("shop.example", ""),
        ("1.2.3.4.5", ""),
    ],
)
def test_shortened(address: str, kept: str):
    assert shortened(address) == kept
