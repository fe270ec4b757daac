"""What was encrypted as text that can be searched: JSON and MessagePack are decoded, so every string stands alone."""

import msgspec

from cdp.core import json


def readable(plain: bytes) -> str:
    """Every string of a decrypted body as JSON; the bytes as text when they are neither JSON nor MessagePack."""
    for decode in (msgspec.json.decode, msgspec.msgpack.decode):
        try:
            value = decode(plain)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        if isinstance(value, dict | list | str):
            return json.encode(value).decode()
    return plain.decode("utf-8", "replace")
