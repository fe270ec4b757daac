"""Placing the activity of a micro-batch into sessions."""

from django.conf import settings

from cdp.core.bulk import Database
from cdp.pipeline.batch import Batch
from cdp.pipeline.reading import Reading


def place_in_sessions(db: Database, batch: Batch) -> None:
    """Put client-side activity into sessions; what a server sends without a visitor or a session belongs to none."""
    spans: dict[int, tuple[int, int]] = {}
    keys: dict[str, list[bytes]] = {}
    active = [is_activity(reading) for reading in batch.readings]
    for reading, resolution, counts in zip(batch.readings, batch.resolutions, active, strict=True):
        if not counts:
            continue
        if reading.session_key is not None:
            keys.setdefault(reading.session_key, settings.KEYRING.digests("session", reading.session_key))
        else:
            low, high = spans.get(resolution.profile_id, (reading.ts, reading.ts))
            spans[resolution.profile_id] = min(low, reading.ts), max(high, reading.ts)
    batch.sessions.load(db, spans, {old: versions[0] for versions in keys.values() for old in versions})
    for reading, resolution, counts in zip(batch.readings, batch.resolutions, active, strict=True):
        key = keys[reading.session_key][0] if counts and reading.session_key is not None else None
        batch.placed.append(
            batch.sessions.place(resolution.profile_id, reading.ts, key=key, context=reading.context)
            if counts
            else None
        )


def is_activity(reading: Reading) -> bool:
    """Whether a message is something that a visitor did."""
    return reading.message.type in ("track", "page", "screen") and (
        reading.message.anonymous_id is not None or reading.session_key is not None
    )
