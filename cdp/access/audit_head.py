"""The signed head of the audit: a small file outside the database that says how far the chain had got, and where to.

Whoever can write the database alone can neither forge it nor shorten the chain behind its back. It can be copied to
another place, and a verification asked of the copy later.
"""

import fcntl
import os
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings

from cdp.access.audit_chain import keys
from cdp.core.clock import iso, now_us
from cdp.core.errors import Invalid


class SignedHead(msgspec.Struct, frozen=True):
    """The chain had `place` rows at the time `at`, the last with the value `chain` (hex).

    `signature` is the Ed25519 one of `signed`, in hex; `public_key`, in hex, lets others check it.
    """

    place: int
    chain: str
    at: str
    public_key: str = ""
    signature: str = ""

    @property
    def signed(self) -> bytes:
        """What the signature covers."""
        return f"audit\n{self.place}\n{self.chain}\n{self.at}".encode()


def head_path() -> Path:
    """Where the newest head is kept."""
    return Path(settings.DATA_DIR) / "audit" / "head.json"


def sign_head(place: int, chain: bytes) -> SignedHead:
    """The head of a chain that ends at `place` with the value `chain`, as of now."""
    key = Ed25519PrivateKey.from_private_bytes(keys().sign)
    head = SignedHead(place, chain.hex(), iso(now_us()), key.public_key().public_bytes_raw().hex())
    return msgspec.structs.replace(head, signature=key.sign(head.signed).hex())


def read_head(path: Path | None = None) -> SignedHead | None:
    """The head in a file, or None without one. Raises Invalid for a file that is none, or not signed by our key."""
    path = path or head_path()
    try:
        head = msgspec.json.decode(path.read_bytes(), type=SignedHead)
        # Checked with our own key, not with the one in the file.
        Ed25519PrivateKey.from_private_bytes(keys().sign).public_key().verify(
            bytes.fromhex(head.signature), head.signed
        )
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, ValueError, InvalidSignature) as error:
        raise Invalid(f"{path} is not a head that was signed here.", code="head_forged") from error
    return head


def write_head(head: SignedHead, *, restored: bool = False) -> None:
    """Make `head` the newest one on disk, at once or not at all; one that is there and further stays.

    `restored` puts the one that is there aside, under a name with its place.
    """
    path = head_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    with (path.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path.exists() and restored:
            path.rename(path.with_name(f"head-before-{head.at.replace(':', '')}.json"))
        there = read_head(path)
        if there is not None and there.place >= head.place:
            return
        scratch = path.with_suffix(".tmp")
        with scratch.open("wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(head), indent=1) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
