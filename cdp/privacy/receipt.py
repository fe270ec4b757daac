"""The receipt of an erasure: what went, what was scanned and what was found, signed, in the row and in a file.

The signature is Ed25519 over the JSON without `signature`, with sorted keys and no spaces: whoever has the public key
can check it. The key is derived from the one of the ring that never rotates.
"""

import base64
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings

from cdp.core.crypto import Keyring
from cdp.core.errors import Invalid
from cdp.privacy.journal import sync_folder

VERSION = 1
_encode = msgspec.json.Encoder(order="sorted").encode


def public_key() -> str:
    """The key by which others check our receipts: 32 bytes of Ed25519 in base64."""
    return base64.b64encode(_key(settings.KEYRING).public_key().public_bytes_raw()).decode()


def signed(content: Mapping[str, Any]) -> dict[str, Any]:
    """`content` with the public key and the signature."""
    body = {**content, "publicKey": public_key()}
    return {**body, "signature": base64.b64encode(_key(settings.KEYRING).sign(_encode(body))).decode()}


def check_signature(receipt: Mapping[str, Any]) -> None:
    """Raise Invalid unless `receipt` was signed by this installation and nothing in it was changed."""
    body = {name: value for name, value in receipt.items() if name != "signature"}
    try:
        signature = base64.b64decode(str(receipt.get("signature", "")), validate=True)
        # Checked with our own key, not with the one that it brings.
        _key(settings.KEYRING).public_key().verify(signature, _encode(body))
    except (ValueError, InvalidSignature) as error:
        raise Invalid(
            "This is no receipt of this installation, or it was changed: the signature does not verify.",
            code="receipt_forged",
        ) from error


def read_receipt(path: Path) -> dict[str, Any]:
    """The receipt in a file. Raises Invalid for what is none."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.DecodeError) as error:
        raise Invalid(f"{path} is no receipt: {type(error).__name__}.") from error
    return found


def receipt_path(erasure_id: object) -> Path:
    """Where the receipt of an erasure is kept outside the database."""
    return Path(settings.DATA_DIR) / "receipts" / f"{erasure_id}.json"


def save_receipt(receipt: Mapping[str, Any]) -> Path:
    """Write it to its file, whole or not at all; it is on disk on return."""
    path = receipt_path(receipt["id"])
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(f".{os.getpid()}.tmp")
    with scratch.open("wb") as file:
        file.write(msgspec.json.format(_encode(receipt), indent=2) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)
    sync_folder(path.parent)
    return path


@lru_cache(1)
def _key(ring: Keyring) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(ring.fixed_key("erasure:receipt"))
