"""What can go wrong with the lake."""

from cdp.core.errors import DomainError


class Overtaken(DomainError):
    """Another writer committed first: nothing was written, look again."""

    code = "lake_overtaken"
    status = 503


class ForeignLake(DomainError):
    """The lake at this address belongs to another installation, or to an operational store that is gone."""

    code = "foreign_lake"
    status = 500


class LakeLost(DomainError):
    """A table that was written before is not there, or lacks what was purged from the operational store."""

    code = "lake_lost"
    status = 503


class LakeAhead(DomainError):
    """The lake knows of more than the operational store, which must have been restored from an older backup."""

    code = "lake_ahead"
    status = 503
