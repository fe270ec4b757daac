"""Telling controllers how far their requests are (OpenDSR): signed POSTs to the addresses that they gave.

They are as guarded as every outgoing request: no private network but OUTBOUND_ALLOW, TLS, no redirect, bounded time.
"""

import logging

from cdp.core.clock import now_us
from cdp.privacy.opendsr.notices import due_notices, note_failed, note_told
from integrations.outbound import post
from integrations.provider import FetchFailed

SECONDS = 10.0
_MAX_ANSWER = 64 * 1024
_log = logging.getLogger(__name__)


def send_callbacks() -> int:
    """Send what is due, up to twenty; returns how many were taken with 2xx. What failed is tried again later."""
    taken = 0
    for notice in due_notices(now_us()):
        try:
            reply = post(notice.url, notice.body, headers=notice.headers, seconds=SECONDS, max_bytes=_MAX_ANSWER)
        except FetchFailed as error:
            note_failed(notice, error.message)
            _log.warning("A controller could not be told: %s", error.reason)
            continue
        if 200 <= reply.status < 300:
            note_told(notice, now=now_us())
            taken += 1
        else:
            note_failed(notice, f"It answered {reply.status}.")
            _log.warning("A controller could not be told: it answered %s", reply.status)
    return taken
