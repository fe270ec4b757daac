"""The package that answers an access or portability request: made, handed out by a link, and removed.

The file is encrypted under a key of its own, which is written nowhere but into the row that is made last. So a file
whose maker was killed can be read by nobody, and the sweep removes it: its lock is free then.
"""

import fcntl
import hashlib
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from django.conf import settings
from django.db.models import F

from cdp.access.audit import record_change
from cdp.core.clock import DAY, now_us
from cdp.core.errors import Conflict, NotFound
from cdp.core.ids import uuid7
from cdp.pipeline.lease import exclusive
from cdp.privacy.models import AccessPackage, PrivacyRequest
from cdp.privacy.package_file import SealedWriter, new_key, unsealed
from cdp.privacy.package_page import Written
from cdp.privacy.package_part import Subject
from cdp.privacy.package_parts import parts_of_package
from cdp.privacy.package_zip import Progress, Sink, write_zip
from cdp.profiles.models import Profile

_PURPOSE = "package"


def packages_folder() -> Path:
    """Where the files are; made if absent, for its owner only."""
    folder: Path = settings.DATA_DIR / "packages"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def make_package(
    person: Profile,
    *,
    request: PrivacyRequest | None,
    actor: str,
    why: str,
    progress: Progress = lambda _count: None,
) -> tuple[AccessPackage, str]:
    """Write all that is held about the whole person into a package; returns the row and the token of its link.

    For a portability request it has what the person gave. Only the digest of the token is kept, so the link cannot be
    shown again. Takes time and disk in proportion to the events, and constant memory; call it outside of a transaction.
    One audit entry. Raises NotFound when the person was deleted meanwhile.
    """
    package, token = new_package(person, request=request, actor=actor)
    fill_package(package, person, why=why, keep=package.save, progress=progress)
    return package, token


def new_package(person: Profile, *, request: PrivacyRequest | None, actor: str) -> tuple[AccessPackage, str]:
    """A row that is not saved and has no file yet, and the token of its link."""
    now, token = now_us(), secrets.token_urlsafe(32)
    package = AccessPackage(
        public_id=uuid7(), request=request, person_id=person.person_id, created_at=now, token=_digest(token),
        expires_at=now + settings.PACKAGE_DAYS * DAY, asked_by=actor[:150],
    )  # fmt: skip
    return package, token


def fill_package(
    package: AccessPackage,
    person: Profile,
    *,
    why: str,
    keep: Callable[[], None],
    progress: Progress = lambda _count: None,
) -> None:
    """Write the file of `package`; then, in one transaction with the audit entry, `keep` stores the row.

    What an earlier attempt left of the file is written over. When anything raises there is no file. Raises NotFound
    when the person was deleted meanwhile, Conflict while another process writes the file.
    """
    kind = kind_of(package.request)
    parts = parts_of_package(portable=kind == "portability")
    now, key, path = now_us(), new_key(), _path(package)
    with _alone(path) as file:
        try:
            writer = SealedWriter(file, key)
            subject = Subject.of(person.person, now=now)
            write_zip(writer, subject, parts, kind=kind, folder=path.parent, progress=progress)
            writer.finish()
            _to_disk(file, path.parent)
            package.size, package.key = writer.size, settings.KEYRING.encrypt(_PURPOSE, key)
            package.expires_at, package.status = now_us() + settings.PACKAGE_DAYS * DAY, AccessPackage.Status.READY
            with exclusive():
                if not Profile.objects.filter(pk=person.person_id).exists():
                    raise NotFound("The person was deleted meanwhile.")
                keep()
                record_change(
                    package.asked_by,
                    action="export",
                    object_type="profile",
                    object_ids=[subject.person.public_id, package.public_id],
                    fields=[part.name for part in parts],
                    why=why,
                )
        except BaseException:
            path.unlink(missing_ok=True)
            raise


def write_package(
    person: Profile, out: Sink, *, actor: str, why: str, kind: str = "access", progress: Progress
) -> Written:
    """Write the zip in clear to `out`, for whoever runs the command; returns what it has. One audit entry."""
    parts = parts_of_package(portable=kind == "portability")
    subject = Subject.of(person.person, now=now_us())
    record_change(
        actor, action="export", object_type="profile", object_ids=[subject.person.public_id],
        fields=[part.name for part in parts], why=why,
    )  # fmt: skip
    return write_zip(out, subject, parts, kind=kind, folder=packages_folder(), progress=progress)


def kind_of(request: PrivacyRequest | None) -> str:
    """`portability` for such a request, else `access`."""
    portable = request is not None and request.kind == PrivacyRequest.Kind.PORTABILITY
    return "portability" if portable else "access"


def link_of(token: str) -> str:
    """The address at which the package with this token is downloaded."""
    return f"{settings.PUBLIC_URL}/privacy/packages/{token}"


def package_of(token: str, *, now: int) -> AccessPackage | None:
    """The package that a link leads to, or None when it leads nowhere at `now` (µs), any more or ever."""
    rows = AccessPackage.objects.filter(token=_digest(token), expires_at__gt=now, key__isnull=False)
    return rows.select_related("person").first()


def is_being_prepared(token: str) -> bool:
    """Whether the package that a link leads to is not ready yet."""
    preparing = AccessPackage.Status.PREPARING
    return AccessPackage.objects.filter(token=_digest(token), status=preparing).exists()


def read_package(package: AccessPackage, *, actor: str, why: str) -> Iterator[bytes]:
    """The bytes of the zip, as a stream; the download is counted and recorded before the first can be read.

    Raises NotFound when the file is gone.
    """
    if package.key is None:
        raise NotFound("This package has expired. Make a new one.")
    key = settings.KEYRING.decrypt(_PURPOSE, package.key)
    try:
        file = _path(package).open("rb")
    except FileNotFoundError:
        raise NotFound("The file of this package is gone. Make a new one.") from None
    person = Profile.objects.filter(pk=package.person_id).values_list("public_id", flat=True)
    record_change(
        actor, action="download", object_type="accesspackage", object_ids=[package.public_id, *person],
        fields=["package"], why=why,
    )  # fmt: skip
    AccessPackage.objects.filter(pk=package.pk).update(fetches=F("fetches") + 1, fetched_at=now_us())
    return _closing(file, key)


def remove_expired_packages(now: int) -> int:
    """Make unreadable and remove what has expired at `now` (µs), and files that nobody can read; returns how many.

    The key goes first. Two queries, none while there are no files.
    """
    folder = packages_folder()
    names = set(os.listdir(folder))
    if not names:
        return 0
    expired = AccessPackage.objects.filter(expires_at__lte=now, key__isnull=False)
    if expired.exists():
        expired.update(key=None)
    return sum(_remove(folder / name) for name in sorted(names - _readable()))


def _remove(path: Path) -> bool:
    """Remove a file that no row has, unless its maker is still at it."""
    with suppress(FileNotFoundError), path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        # Its maker may have finished since the rows were read: now that the lock is ours, they say so.
        if path.name not in _readable():
            path.unlink(missing_ok=True)
            return True
    return False


def _readable() -> set[str]:
    """The names of the files that somebody may still ask for."""
    kept = AccessPackage.objects.filter(key__isnull=False).values_list("public_id", flat=True)
    return {public_id.hex for public_id in kept}


def _closing(file: IO[bytes], key: bytes) -> Iterator[bytes]:
    with file:
        yield from unsealed(file, key)


def _path(package: AccessPackage) -> Path:
    return packages_folder() / package.public_id.hex


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


@contextmanager
def _alone(path: Path) -> Iterator[IO[bytes]]:
    """An empty file at `path` that no other process writes. Raises Conflict when one does."""
    while True:
        with open(path, "ab", opener=_private) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Conflict("Another process makes this package.", code="overtaken") from None
            if _is_at(path, file):
                file.truncate(0)
                yield file
                return
            # The sweep has removed it between opening and locking.


def _is_at(path: Path, file: IO[bytes]) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _to_disk(file: IO[bytes], folder: Path) -> None:
    file.flush()
    os.fsync(file.fileno())
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
