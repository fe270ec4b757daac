"""What rules of this installation may name."""

from cdp.consents.purposes import purpose_codes
from cdp.events.vocabulary import TYPES
from cdp.history.layout import wanted_columns
from cdp.lake.rules.catalogue import Catalogue
from cdp.lake.schema import TYPED_PROPERTIES
from cdp.segments.models import Segment
from cdp.segments.personal import FIELDS
from cdp.traits.catalogue import is_personal, personal_keys
from cdp.traits.computed import aggregates
from cdp.traits.expressions import calculated_kinds


def catalogue(own: str | None = None) -> Catalogue:
    """The catalogue for the rule of the segment with the key `own`, or of none: one query, and the traits' own."""
    refers = dict(Segment.objects.order_by().values_list("key", "refers_to"))
    return Catalogue(
        traits={key: entry.kind for key, entry in wanted_columns().items()} | calculated_kinds(),
        computed=aggregates(),
        personal=frozenset({*FIELDS, *personal_keys()}),
        segments=frozenset(refers if own is None else {*refers, own}),
        properties=TYPED_PROPERTIES,
        types=TYPES,
        consents=frozenset(purpose_codes()),
        looks_personal=is_personal,
        own=own,
        refers=refers,
    )
