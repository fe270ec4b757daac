"""The messages of a micro-batch that were accepted before."""

from cdp.core.clock import DAY
from cdp.pipeline.batch import Batch
from cdp.pipeline.writer import ACCEPTED, DUPLICATE


def drop_repeats(batch: Batch) -> None:
    """Find the messages of `batch`: what was accepted before, or comes twice in it, counts as a duplicate.

    Exact, because whoever processes passes the fence, and who claims otherwise makes the insert of the same digest
    fail.
    """
    known = {row.digest for row in batch.waiting if row.claimed}
    for row in batch.waiting:
        if not row.claimed:
            repeated = row.repeated or row.digest in known
            batch.outcomes[row.received // DAY, row.source_id, DUPLICATE if repeated else ACCEPTED] += 1
            if repeated:
                continue
            known.add(row.digest)
        batch.messages.append(row)
