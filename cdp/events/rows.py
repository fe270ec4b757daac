"""Hot events as the pipeline writes them."""

from cdp.core.bulk import Table

EVENTS = Table(
    "events_event",
    {
        "digest": "bytea",
        "profile_id": "bigint",
        "source_id": "bigint",
        "session_id": "bigint",
        "call": "smallint",
        "type": "text",
        "name": "text",
        "ts": "bigint",
        "received": "bigint",
        "decision": "smallint",
        "body": "bytea",
    },
)
QUARANTINE = Table(
    "events_quarantinedmessage",
    {
        "digest": "bytea",
        "source_id": "bigint",
        "received": "bigint",
        "stage": "text",
        "status": "text",
        "code": "text",
        "reason": "text",
        "body": "bytea",
    },
    key=("digest",),
)
