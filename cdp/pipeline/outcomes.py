"""What can become of a message, as the counters name it, and in words."""

KINDS = {
    "accepted": "Taken in",
    "processed": "Stored",
    "redacted": "Stored of nobody: its person does not allow",
    "consent": "Not stored: its person does not allow",
    "suppressed": "Not stored: of somebody who was erased",
    "duplicate": "Sent before",
    "rejected": "Refused at the door:",
    "failed": "In quarantine:",
    "warning": "With a warning:",
}
"""The word before the colon of an outcome, and what it means."""
STOPPED = ("consent:", "redacted:", "suppressed")
"""How the outcomes begin that consent and erasure are the reason of."""


def outcome_text(outcome: str) -> str:
    """An outcome as a person reads it."""
    kind, _, detail = outcome.partition(":")
    text = KINDS.get(kind, kind)
    return f"{text} {detail}" if detail else text
