"""The key ring: what it seals opens only for the same purpose, and keys rotate."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdp.core.crypto import KeyMissing, Keyring

ring = Keyring({1: bytes(32)}, suppression=bytes(32))


@given(st.binary(), st.sampled_from(["event", "trait"]))
def test_what_is_sealed_opens_for_the_same_purpose_only(plain: bytes, purpose: str) -> None:
    sealed = ring.encrypt(purpose, plain)
    assert ring.decrypt(purpose, sealed) == plain
    with pytest.raises(KeyMissing):
        ring.decrypt("another", sealed)


@given(st.binary(min_size=1), st.integers(0), st.integers(1, 255))
def test_an_altered_value_does_not_open(plain: bytes, position: int, flip: int) -> None:
    sealed = bytearray(ring.encrypt("event", plain))
    sealed[position % len(sealed)] ^= flip
    with pytest.raises(KeyMissing):
        ring.decrypt("event", bytes(sealed))


def test_a_file_is_made_once_private_and_rotates(tmp_path: Path):
    path = tmp_path / "keys.json"
    first = Keyring.load(path)
    assert path.stat().st_mode & 0o777 == 0o600
    other = Keyring.load(path)
    old = first.encrypt("event", b"x")
    assert other.add_key() == 2
    first.refresh()
    assert (first.current, first.versions) == (2, (2, 1))
    assert first.decrypt("event", old) == b"x"
    assert other.decrypt("event", first.encrypt("event", b"y")) == b"y"
    assert other.digests("identifier", "v")[1] == Keyring.load(path).digests("identifier", "v")[1]
    other.retire(1)
    first.refresh()
    with pytest.raises(KeyMissing):
        first.decrypt("event", old)
    assert list(json.loads(path.read_text())["keys"]) == ["2"]


def test_keys_of_the_environment_are_read_strictly():
    key = "A" * 43 + "="
    assert Keyring.parse(f"1:{key},3:{key}", suppression=key).versions == (3, 1)
    for wrong in ("", "1:abc", f"x:{key}", f"0:{key}", f"256:{key}"):
        with pytest.raises(ValueError, match=r"key"):
            Keyring.parse(wrong, suppression=key)
