"""What a scan looks for: numbers and ids of erased people, blind indexes, and their identifiers among any words.

Right after an erasure the identifiers are known in clear. Later only their digests are: then every word is digested as
each type that is kept out, and compared.
"""

import re
import uuid
from collections.abc import Iterable
from functools import lru_cache

from django.conf import settings

from cdp.identities.lookup import current_rules
from cdp.identities.rules import Rules
from cdp.identities.suppression import KINDS, suppression_digest
from cdp.privacy.erase_subject import Trace
from cdp.privacy.erase_work import Work

_ID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.IGNORECASE)
_WORD = re.compile(r"[^\s\"'<>(){}\[\],;|]+")


class Scope:
    """People who must not be found."""

    def __init__(
        self,
        rules: Rules,
        *,
        numbers: Iterable[int],
        public_ids: Iterable[str],
        suppressed: Iterable[bytes],
        alone: Iterable[bytes] = (),
        kept_out: Iterable[bytes] = (),
        values: Iterable[str] | None = None,
        customers: Iterable[str] = (),
        work: Work | None = None,
    ) -> None:
        self.rules = rules
        self.numbers = frozenset(numbers)
        self.public_ids = frozenset(map(uuid.UUID, public_ids))
        self.suppressed = frozenset(suppressed)
        """Digests under the key that never rotates."""
        self.alone = frozenset(alone)
        """Blind indexes of identifiers that nobody else had."""
        self.kept_out = frozenset(kept_out)
        """Blind indexes of those that are suppressed."""
        self.values = None if values is None else frozenset(value.lower() for value in values)
        self.customers = frozenset(customers)
        self.work = work
        self._hexes = frozenset(one.hex for one in self.public_ids)
        self._says = lru_cache(100_000)(self._digested)

    @classmethod
    def of_work(cls, work: Work) -> "Scope":
        """What is known right after an erasure."""
        subjects = work.subjects.values()
        return cls(
            work.rules,
            numbers=work.numbers,
            public_ids=[one for subject in subjects for one in subject.trace.public_ids],
            suppressed=[digest for subject in subjects for _, digest in subject.trace.suppressed],
            alone=work.alone(),
            kept_out=work.suppressed(),
            values=[value for subject in subjects for value in subject.values()],
            customers=[customer for subject in subjects for customer in subject.customers()],
            work=work,
        )

    @classmethod
    def of_trace(cls, trace: Trace) -> "Scope":
        """What is known at any later time."""
        digests = [digest for _, digest in trace.suppressed]
        return cls(current_rules(), numbers=trace.numbers, public_ids=trace.public_ids, suppressed=digests)

    def in_text(self, text: str) -> bool:
        """Whether a text names one of them: a public id, or an identifier as a word of its own."""
        if any(found.replace("-", "").lower() in self._hexes for found in _ID.findall(text)):
            return True
        if self.values is not None:
            return text.lower() in self.values or any(w.lower() in self.values for w in _WORD.findall(text))
        return any(self._says(word) for word in {text, *_WORD.findall(text)} if len(word) <= 200)

    def is_value(self, code: str, namespace: str, value: str) -> bool:
        """Whether a normalised identifier is one of theirs that is kept out."""
        kind = self.rules.kinds.get(code)
        return kind is not None and suppression_digest(settings.KEYRING, kind, namespace, value) in self.suppressed

    def _digested(self, word: str) -> bool:
        for code in KINDS:
            spelling = self.rules.spelling(self.rules.kinds[code], word)
            if spelling is not None and self.is_value(code, "", spelling):
                return True
        return False
