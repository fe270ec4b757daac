"""Answering with a file that a browser saves and never runs."""

from urllib.parse import quote

from django.http import HttpResponse


def file_answer(name: str, media: str, content: bytes) -> HttpResponse:
    """`content` as an attachment called `name`, which is kept nowhere on the way."""
    answer = HttpResponse(content, content_type=media)
    answer["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(name, safe='')}"
    answer["X-Content-Type-Options"] = "nosniff"
    answer["Content-Security-Policy"] = "default-src 'none'; sandbox"
    answer["Cache-Control"] = "no-store"
    return answer
