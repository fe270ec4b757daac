"""Rows of the consent ledger as they are written set-based."""

from cdp.core.bulk import Table

RECORDS = Table(
    "consents_consentrecord",
    {
        "public_id": "uuid",
        "profile_id": "bigint",
        "type": "text",
        "granted": "boolean",
        "at": "bigint",
        "recorded_at": "bigint",
        "expires_at": "bigint",
        "source": "text",
        "cause": "text",
        "merge": "uuid",
        "event": "bytea",
        "body": "bytea",
    },
)
