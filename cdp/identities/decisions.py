"""What resolution can decide about a message, and about each identifier that it carried."""

from enum import IntEnum


class Decision(IntEnum):
    """Kept on the event as a number; the sentences are in `SENTENCES`."""

    CREATED = 1
    ATTACHED = 2
    MERGED = 3
    DEMOTED = 4
    DEMOTED_CREATED = 5
    CAPPED = 6
    REFUSED = 7
    WITHOUT_IDENTIFIER = 8
    REDACTED = 9


class Use(IntEnum):
    """What became of one identifier of a message."""

    FOUND = 1
    ADDED = 2
    LOOKUP_ONLY = 3
    BLOCKED = 4
    OVER_LIMIT = 5
    KEPT_APART = 6
    UNTRUSTED = 7
    QUARANTINED = 8
    CAPPED = 9
    UNVERIFIED = 10


DECISION_SENTENCES = {
    Decision.CREATED: "No identifier was known: a new profile was created.",
    Decision.ATTACHED: "The identifiers belong to one person: the event was attached.",
    Decision.MERGED: "The identifiers belonged to several people, and no rule kept them apart: they were merged.",
    Decision.DEMOTED: "An identifier was left out for a limit; the rest found the person.",
    Decision.DEMOTED_CREATED: "An identifier was left out for a limit; the rest was new: a profile was created.",
    Decision.CAPPED: "A cap of the person was reached: the event is kept, the identity work was skipped.",
    Decision.REFUSED: "The alias would break a rule: the people stay apart.",
    Decision.WITHOUT_IDENTIFIER: "No usable identifier was left: the event has a profile of its own.",
    Decision.REDACTED: "The person does not allow what it is for: stored of nobody, without what says whose it was.",
}
USE_SENTENCES = {
    Use.FOUND: "found the person",
    Use.ADDED: "was new and now belongs to the person",
    Use.LOOKUP_ONLY: "is kept for look-up and never joins",
    Use.BLOCKED: "is a blocked value and no identifier",
    Use.OVER_LIMIT: "was left out: with it the person would have more values of a type than the limit allows",
    Use.KEPT_APART: "was left out: an unmerge keeps these people apart",
    Use.UNTRUSTED: "came from a browser: stored, but it finds and joins nobody",
    Use.QUARANTINED: "joined too many people within an hour: it joins nobody until it is released",
    Use.UNVERIFIED: "is not verified, and its type finds people by verified values only: stored, but it finds nobody",
    Use.CAPPED: "was left out: a cap of the person was reached",
}
