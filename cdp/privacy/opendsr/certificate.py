"""The key that signs what controllers are told, and its certificate.

Without OPENDSR_CERTIFICATE and OPENDSR_KEY both are made, in one file under DATA_DIR that only its owner reads. Such a
certificate is signed by itself: a controller has to trust it by name.
"""

import base64
import contextlib
import os
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID
from django.conf import settings

from cdp.core.clock import DAY, from_us, now_us, to_us
from cdp.core.errors import Unavailable

_BITS = 3072
_DAYS = 730
_RENEW = 30 * DAY
_PEM, _PLAIN = serialization.Encoding.PEM, serialization.NoEncryption()


class Signer(msgspec.Struct, frozen=True):
    """A key with its certificate."""

    key: rsa.RSAPrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> bytes:
        """The certificate, for everybody."""
        return self.certificate.public_bytes(_PEM)

    def signature(self, body: bytes) -> str:
        """RSA (PKCS #1 v1.5) over the SHA-256 of `body`, in base64."""
        return base64.b64encode(self.key.sign(body, padding.PKCS1v15(), hashes.SHA256())).decode()


def processor_domain() -> str:
    """The host that the certificate is for: that of PUBLIC_URL."""
    return urlsplit(settings.PUBLIC_URL).hostname or "localhost"


def signer() -> Signer:
    """The key and certificate to use now. Raises Unavailable when those of the settings cannot be read."""
    global _kept  # noqa: PLW0603 - one for the process
    paths = _paths()
    try:
        stamp = tuple((path, path.stat().st_mtime_ns) for path in paths)
        if _kept is None or _kept[0] != stamp:
            _kept = stamp, _read(*paths)
    except FileNotFoundError:
        if settings.OPENDSR_KEY:
            raise _unusable() from None
        return _made(None)
    except (OSError, ValueError, TypeError):
        raise _unusable() from None
    found = _kept[1]
    return _made(found.key) if not settings.OPENDSR_KEY and _outdated(found.certificate) else found


_kept: tuple[tuple[tuple[Path, int], ...], Signer] | None = None


def _paths() -> tuple[Path, Path]:
    if settings.OPENDSR_KEY:
        return Path(settings.OPENDSR_KEY), Path(settings.OPENDSR_CERTIFICATE)
    path = settings.DATA_DIR / "opendsr.pem"
    return path, path


def _read(key: Path, certificate: Path) -> Signer:
    private = serialization.load_pem_private_key(key.read_bytes(), None)
    if not isinstance(private, rsa.RSAPrivateKey):
        raise TypeError("The key is no RSA key.")
    found = x509.load_pem_x509_certificate(certificate.read_bytes())
    if found.public_key() != private.public_key():
        raise ValueError("The certificate is of another key.")
    return Signer(private, found)


def _outdated(certificate: x509.Certificate) -> bool:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    other = names.get_values_for_type(x509.DNSName) != [processor_domain()]
    return other or to_us(certificate.not_valid_after_utc) < now_us() + _RENEW


def _made(key: rsa.RSAPrivateKey | None) -> Signer:
    """A certificate for `key`, or for a new one, in the file. Of two processes that make the first, one has its way."""
    first = key is None
    private = key or rsa.generate_private_key(65537, _BITS)
    text = private.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, _PLAIN)
    text += _certificate(private).public_bytes(_PEM)
    path, _ = _paths()
    scratch = path.with_suffix(f".{os.getpid()}.tmp")
    with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    if first:
        with contextlib.suppress(FileExistsError):
            os.link(scratch, path)
        scratch.unlink()
    else:
        scratch.replace(path)
    return _read(path, path)


def _certificate(key: rsa.RSAPrivateKey) -> x509.Certificate:
    domain = processor_domain()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, domain[:64])])
    now = from_us(now_us())
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=_DAYS))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(domain)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )


def _unusable() -> Unavailable:
    return Unavailable(
        "OPENDSR_KEY and OPENDSR_CERTIFICATE cannot be used: give a PEM file with an RSA key and one with its"
        " certificate.",
        code="no_certificate",
    )
