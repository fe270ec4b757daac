"""JSON of the API: msgspec both ways. Keys are never rewritten here, so the customers' own keys stay as they are.

Answers are msgspec structs with `rename="camel"`, which spell their own field names; requests are read into such
structs by `cdp.rest.body`, which is where snake_case is understood.
"""

import uuid
from collections.abc import Mapping
from typing import IO, Any

import msgspec
from django.conf import settings
from django.utils.functional import Promise
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer

from cdp.core.errors import TooLarge
from cdp.core.json import nested_deeper

MAX_NESTING = 60


def _plain(value: object) -> object:
    if isinstance(value, Promise | uuid.UUID):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise NotImplementedError(f"{type(value).__name__} is no JSON")


_encode = msgspec.json.Encoder(enc_hook=_plain).encode
_decode = msgspec.json.Decoder().decode


class JsonRenderer(BaseRenderer):
    """Structs, dictionaries and lists as JSON."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,  # noqa: ARG002 - the framework's interface
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        """The bytes of `data`; nothing for None. Indented for the browsable pages."""
        if data is None:
            return b""
        encoded = _encode(data)
        indent = (renderer_context or {}).get("indent")
        return msgspec.json.format(encoded, indent=indent) if indent else encoded


class JsonParser(BaseParser):
    """A JSON body. Raises ParseError with a sentence for what is none, TooLarge over DATA_UPLOAD_MAX_MEMORY_SIZE."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,  # noqa: ARG002 - the framework's interface
        parser_context: Mapping[str, Any] | None = None,  # noqa: ARG002
    ) -> Any:
        """The value of the body; an empty one is an empty object."""
        limit: int = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        raw = stream.read(limit + 1)
        if len(raw) > limit:
            raise TooLarge(f"The body may have {limit} bytes. Send it in several requests.")
        if not raw.strip():
            return {}
        if nested_deeper(raw, MAX_NESTING):
            raise ParseError(f"The body is nested more than {MAX_NESTING} deep.", code="too_deep")
        try:
            return _decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ParseError(f"The body is not valid JSON: {error}.", code="bad_json") from None


class AnyTypeJsonParser(JsonParser):
    """The same whatever the content type says: curl and forms send others with a JSON body."""

    media_type = "*/*"
