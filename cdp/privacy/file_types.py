"""What a file is, told by its first bytes: only what an officer may need to see, and nothing that a browser runs."""

from cdp.core.errors import Invalid

_STARTS = (
    (b"%PDF-", "application/pdf", "pdf"),
    (b"\x89PNG\r\n\x1a\n", "image/png", "png"),
    (b"\xff\xd8\xff", "image/jpeg", "jpg"),
)
_TEXT_CONTROLS = frozenset(range(32)) - {9, 10, 13}


def sniffed(content: bytes) -> tuple[str, str]:
    """Media type and ending of a PDF, PNG, JPEG, WebP or plain text in UTF-8. Raises Invalid for anything else."""
    for start, media, ending in _STARTS:
        if content.startswith(start):
            return media, ending
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp", "webp"
    if content and not _TEXT_CONTROLS.intersection(content):
        try:
            content.decode()
        except UnicodeDecodeError:
            pass
        else:
            return "text/plain; charset=utf-8", "txt"
    message = "This file is none of PDF, PNG, JPEG, WebP or plain text in UTF-8."
    raise Invalid(message, code="unusable_file", details={"path": "content"})
