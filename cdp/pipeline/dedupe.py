"""How long a message is remembered, so that its repetition is known."""

from cdp.core.clock import DAY
from cdp.pipeline.models import SeenMessage

_CHUNK = 5000
_MAX_CHUNKS = 2000


def purge_seen(now: int, *, keep_days: int) -> int:
    """Delete the digests of messages accepted more than `keep_days` days before `now` (µs); 0 keeps them for ever.

    In short transactions of 5,000 rows, so that the door never waits long; at most 10 million rows a call.
    """
    if keep_days == 0:
        return 0
    last_day = now // DAY - keep_days
    deleted = 0
    for _ in range(_MAX_CHUNKS):
        chunk = list(SeenMessage.objects.filter(day__lt=last_day).values_list("digest", flat=True)[:_CHUNK])
        if chunk:
            deleted += SeenMessage.objects.filter(digest__in=chunk).delete()[0]
        if len(chunk) < _CHUNK:
            break
    return deleted
