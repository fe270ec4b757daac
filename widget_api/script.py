"""`/widget/v1/widget.js`: the script as it stands in the source, compressed once, kept by browsers for an hour."""

import gzip
import hashlib
from functools import cache
from pathlib import Path

import msgspec
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

SCRIPT = Path(__file__).parent / "static" / "widget" / "v1" / "widget.js"
_CACHE = "public, max-age=3600, stale-while-revalidate=86400"


class _Script(msgspec.Struct, frozen=True):
    plain: bytes
    packed: bytes
    tag: str


@require_safe
def script(request: HttpRequest) -> HttpResponse:
    """The script, gzipped where the browser takes it; 304 when it has this version."""
    found = _read() if settings.DEBUG else _kept()
    packs = "gzip" in request.headers.get("Accept-Encoding", "")
    tag = f'"{found.tag}{"-gz" if packs else ""}"'
    if tag in {part.strip().removeprefix("W/") for part in request.headers.get("If-None-Match", "").split(",")}:
        answer = HttpResponse(status=304)
    else:
        answer = HttpResponse(found.packed if packs else found.plain, content_type="text/javascript; charset=utf-8")
        if packs:
            answer["Content-Encoding"] = "gzip"
    answer["ETag"] = tag
    answer["Cache-Control"] = _CACHE
    answer["Vary"] = "Accept-Encoding"
    # Every page may load it, also with crossorigin and under Cross-Origin-Embedder-Policy.
    answer["Access-Control-Allow-Origin"] = "*"
    answer["Cross-Origin-Resource-Policy"] = "cross-origin"
    return answer


def _read() -> _Script:
    plain = SCRIPT.read_bytes()
    return _Script(plain, gzip.compress(plain, 9, mtime=0), hashlib.sha256(plain).hexdigest()[:24])


_kept = cache(_read)
