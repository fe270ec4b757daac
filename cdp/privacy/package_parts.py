"""All parts of a package, in their order, and the tables that are deliberately in none, each with its reason.

What other apps hold about a person comes by `settings.PACKAGE_PARTS`: dotted names of a Part each.
"""

from django.conf import settings
from django.utils.module_loading import import_string

from cdp.privacy.package_activity import ACTIVITY_PARTS
from cdp.privacy.package_groups import GROUP_PARTS
from cdp.privacy.package_messages import MESSAGE_PARTS
from cdp.privacy.package_part import Part
from cdp.privacy.package_person import PERSON_PARTS
from cdp.privacy.package_records import RECORD_PARTS
from cdp.privacy.package_versions import VERSION_PARTS


def parts_of_package(*, portable: bool = False) -> list[Part]:
    """Every part; `portable`: those alone that the person gave."""
    others: list[Part] = [import_string(name) for name in settings.PACKAGE_PARTS]
    parts = [*PERSON_PARTS, *VERSION_PARTS, *ACTIVITY_PARTS, *MESSAGE_PARTS, *GROUP_PARTS, *others, *RECORD_PARTS]
    return [part for part in parts if part.given or not portable]


_SETUP = "Configuration: it says nothing about a person."
_STAFF = "About those who work with the product, not about customers."

LEFT_OUT: dict[str, str] = {
    "access.User": _STAFF,
    "access.ApiKey": _STAFF,
    "access.FieldRight": _SETUP,
    "access.RoleGrant": _SETUP,
    "access.Source": _SETUP,
    "access.WriteKey": _SETUP,
    "access.AuditHead": "Where the chain of the audit ends.",
    "consents.Purpose": _SETUP,
    "consents.ExpiryCursor": "How far the expiry of consents was followed.",
    "consents.GateRule": _SETUP,
    "history.LakeState": "How far the history has come.",
    "identities.BlockedValue": _SETUP,
    "identities.IdentifierType": _SETUP,
    "identities.SuppressedIdentifier": "Digests of identifiers of people who were erased: they name nobody.",
    "integrations.Integration": _SETUP,
    "pipeline.Counter": "Counts of messages by source and day.",
    "pipeline.ImportRun": "How far the import of a file came.",
    "pipeline.ProcessingLease": "Which process writes.",
    "pipeline.SpoolMark": "How far the door's file was moved; nothing of anybody.",
    "pipeline.SeenMessage": "Digests of messages: nobody can be told from them.",
    "privacy.ControllerNotice": "What the sender of a request is told, by its number.",
    "privacy.Erasure": "Of people who are no more: while one runs no package is made.",
    "privacy.RequestNote": "Working notes of officers, who hand them out themselves where they must.",
    "privacy.RetentionPolicy": _SETUP,
    "profiles.DeletedProfile": "Numbers of profiles that are gone.",
    "segments.Audience": _SETUP,
    "segments.Lookalike": _SETUP,
    "segments.Segment": _SETUP,
    "segments.SegmentSize": "Counts of people by hour.",
    "traits.CalculatedField": _SETUP,
    "traits.ComputedProgress": "How far the computed traits have come.",
    "traits.ComputedTrait": _SETUP,
    "traits.TraitDefinition": _SETUP,
    "widget_api.UsedNonce": "Digests of signed requests, for as long as one could be sent again.",
    "widget_api.WidgetKey": _SETUP,
    "widget_api.WidgetSecret": _SETUP,
}
"""Model → why no part has it."""
