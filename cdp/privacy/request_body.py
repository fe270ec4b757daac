"""The encrypted part of a request: whatever of it may be personal."""

from typing import Any

import msgspec
from django.conf import settings

from cdp.privacy.models import PrivacyRequest

PURPOSE = "request"
"""What bodies, notes and files of requests are encrypted for."""


class RequestBody(msgspec.Struct, omit_defaults=True):
    """Identifiers by type (`email`, `user_id`, `external:shopify`, `profile_id`), and what was said in words.

    `changes` is what a rectification wants (`traits`, `identifiers`) or an objection names (`purposes`). `answer` is
    the token of the link to the access package.
    """

    identifiers: dict[str, str] = {}
    contact: str = ""
    changes: dict[str, Any] = {}
    reason: str = ""
    answer: str = ""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(RequestBody).decode


def seal_request(body: RequestBody) -> bytes:
    """The encrypted bytes of `body`."""
    return settings.KEYRING.encrypt(PURPOSE, _encode(body))


def open_body(request: PrivacyRequest) -> RequestBody:
    """What was sealed; an empty one once it is gone. Raises KeyMissing."""
    return _decode(settings.KEYRING.decrypt(PURPOSE, request.body)) if request.body else RequestBody()
