"""The lifecycle stage of a person (P10), from purchases and the last sign of life."""

from cdp.core.clock import DAY
from cdp.lake.measures import formula as f


def lifecycle_stage(*, first_purchase: int | None, last_purchase: int | None, last_seen: int, now: int) -> str:
    """One of `cdp.lake.measures.formula.STAGES`; times in µs. The measure `lifecycleStage` is this for everybody."""

    def within(since: int, days: int) -> bool:
        return since >= now - days * DAY

    if first_purchase is None or last_purchase is None:
        return "prospect" if within(last_seen, f.DORMANT_DAYS) else "inactive"
    if within(first_purchase, f.NEW_DAYS):
        return "new"
    steps = ((f.ACTIVE_DAYS, "active"), (f.AT_RISK_DAYS, "at_risk"), (f.DORMANT_DAYS, "dormant"))
    return next((stage for days, stage in steps if within(last_purchase, days)), "churned")
