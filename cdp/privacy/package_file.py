"""Files that nobody can read without their key, written and read as streams: AES-256-GCM in chunks.

Each file has a key of its own, so the number of a chunk is nonce enough; the last one is marked. A chunk that is
missing, moved or cut off does not decrypt.
"""

import io
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

CHUNK = 64 * 1024
_TAG = 16


class Broken(Exception):
    """The file is not what was written, or the key is another one."""


def new_key() -> bytes:
    """A key for one file."""
    return AESGCM.generate_key(256)


class SealedWriter(io.RawIOBase):
    """Seals what is written to it into `file`; `finish` writes the rest, without it the file is none.

    `size` is the number of bytes that were given to it.
    """

    def __init__(self, file: IO[bytes], key: bytes) -> None:
        self._file = file
        self._cipher = AESGCM(key)
        self._number = 0
        self._waiting = bytearray()
        self.size = 0

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, data: Any) -> int:
        """Take all of `data`."""
        count = memoryview(data).nbytes
        self._waiting += data
        self.size += count
        while len(self._waiting) > CHUNK:
            self._seal(bytes(self._waiting[:CHUNK]), last=False)
            del self._waiting[:CHUNK]
        return count

    def finish(self) -> None:
        """Write the last chunk."""
        self._seal(bytes(self._waiting), last=True)
        self._waiting.clear()

    def _seal(self, plain: bytes, *, last: bool) -> None:
        self._file.write(self._cipher.encrypt(_nonce(self._number, last=last), plain, None))
        self._number += 1


def unsealed(file: IO[bytes], key: bytes) -> Iterator[bytes]:
    """What a SealedWriter was given, chunk by chunk. Raises Broken."""
    cipher = AESGCM(key)
    number = 0
    chunk = file.read(CHUNK + _TAG)
    while True:
        following = file.read(CHUNK + _TAG)
        try:
            yield cipher.decrypt(_nonce(number, last=not following), chunk, None)
        except (InvalidTag, ValueError) as error:
            raise Broken("The file was altered or cut off, or has another key.") from error
        if not following:
            return
        number, chunk = number + 1, following


class Spool:
    """Bytes that wait on disk until they are wanted: in a file without a name, under a key that only this has."""

    def __init__(self, folder: Path) -> None:
        self._key = new_key()
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - it closes with the spool
        self._writer = SealedWriter(self._file, self._key)

    def write(self, data: bytes) -> None:
        """Append."""
        self._writer.write(data)

    def read(self) -> Iterator[bytes]:
        """Everything that was written, once, after which nothing can be."""
        self._writer.finish()
        self._file.seek(0)
        return unsealed(self._file, self._key)

    def __enter__(self) -> "Spool":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + (b"\1" if last else b"\0")
