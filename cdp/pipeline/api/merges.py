"""Merging people by REST (001, 002, 003), with a dry run, and undoing a merge (P4, P5)."""

import uuid
from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec
from rest_framework.request import Request
from rest_framework.response import Response

from cdp.access.audit import record_read
from cdp.access.rights import Rights, rights_of
from cdp.core.clock import iso, iso_or_none
from cdp.core.errors import Invalid, NotFound
from cdp.customer360.api import MergeView
from cdp.customer360.masking import shown, sight_of
from cdp.customer360.parts import source_names
from cdp.customer360.view import TraitPart
from cdp.pipeline.merge import STRATEGIES, MergeResult, merge_people, unmerge
from cdp.profiles.models import Merge, Profile
from cdp.profiles.people import person_of
from cdp.rest.body import read_body
from cdp.rest.endpoint import Endpoint
from cdp.rest.schema import endpoint
from cdp.traits.golden import GoldenRecord

_A, _B = "0197a1c0-7b5e-7c3a-9f1d-2f4b6a8c0e11", "0197a1c0-7b5e-7c3a-9f1d-2f4b6a8c0e12"
_DEFAULT = "latest"


class CustomerMerge(msgspec.Struct, rename="camel"):
    """001's merge. `mergeStrategy`: merge (the target's values win), replace (the source's), latest, oldest."""

    source_customer_id: str
    target_customer_id: str
    merge_strategy: str = "merge"
    dry_run: bool = False


class ProfileMerge(msgspec.Struct, rename="camel"):
    """002's and 003's merge: `sourceIds` into `targetId`; without it, into the first of `sourceIds`."""

    source_ids: list[str]
    target_id: str | None = None
    strategy: str = _DEFAULT
    dry_run: bool = False


class Merged(msgspec.Struct, frozen=True, rename="camel"):
    """The person that results, with the golden record; `merges` is empty in a dry run. Each merge can be undone."""

    customer_id: str
    profile_id: str
    dry_run: bool
    strategy: str
    merges: list[MergeView]
    golden: list[TraitPart]


class Unmerged(msgspec.Struct, frozen=True, rename="camel"):
    """The people that result from undoing a merge."""

    merge_id: str
    customer_ids: list[str]


class MergeCustomers(Endpoint):
    """`identities/merge`."""

    needs: ClassVar[dict[str, str]] = {"POST": "merge"}

    @endpoint(
        "Merge two customers",
        Merged,
        body=CustomerMerge,
        example={"sourceCustomerId": _A, "targetCustomerId": _B, "mergeStrategy": "merge", "dryRun": True},
        tag="identities",
    )
    def post(self, request: Request) -> Response:
        """They are one person from now on; the ids of both answer for ever. With `dryRun` nothing is written."""
        body = read_body(request, CustomerMerge)
        return _merge(
            request,
            body.target_customer_id,
            [body.source_customer_id],
            strategy=_strategy(body.merge_strategy, "mergeStrategy"),
            dry_run=body.dry_run,
        )


class MergeProfiles(Endpoint):
    """`profiles/merge`."""

    needs: ClassVar[dict[str, str]] = {"POST": "merge"}

    @endpoint(
        "Merge profiles",
        Merged,
        body=ProfileMerge,
        example={"sourceIds": [_A, _B], "strategy": "latest", "dryRun": True},
        tag="profiles",
    )
    def post(self, request: Request) -> Response:
        """They are one person from now on; every id answers for ever. With `dryRun` nothing is written."""
        body = read_body(request, ProfileMerge)
        target, sources = body.target_id, body.source_ids
        if target is None and sources:
            target, sources = sources[0], sources[1:]
        if target is None or not sources:
            message = "Name at least two profiles: two `sourceIds`, or one and a `targetId`."
            raise Invalid(message, details={"path": "sourceIds"})
        return _merge(request, target, sources, strategy=_strategy(body.strategy, "strategy"), dry_run=body.dry_run)


class UndoMerge(Endpoint):
    """`merges/:id/undo`."""

    needs: ClassVar[dict[str, str]] = {"POST": "merge"}

    @endpoint("Undo a merge", Unmerged, tag="profiles")
    def post(self, request: Request, merge_id: str) -> Response:
        """Exactly: also what arrived since goes where it belongs. No event joins these people again by itself."""
        try:
            wanted = uuid.UUID(merge_id)
        except ValueError:
            raise NotFound("There is no merge with this id: ids are UUIDs.") from None
        people = unmerge(wanted, actor=rights_of(request).actor)
        return Response(Unmerged(str(wanted), [str(person) for person in people]))


def _strategy(text: str, path: str) -> str:
    if text not in STRATEGIES:
        message = f"{text[:40]!r} is no merge strategy. Use one of: {', '.join(STRATEGIES)}."
        raise Invalid(message, code="unknown_strategy", details={"path": path})
    return STRATEGIES[text]


def _merge(request: Request, target: str, sources: Sequence[str], *, strategy: str, dry_run: bool) -> Response:
    rights = rights_of(request)
    result = merge_people(
        person_of(target).public_id,
        [person_of(source).public_id for source in sources],
        strategy=strategy,
        actor=rights.actor,
        dry_run=dry_run,
    )
    golden = _golden(result.golden, rights)
    fields = [part.trait_key for part in golden]
    record_read(rights, object_type="profile", object_ids=[result.person], fields=fields, request=request)
    return Response(_merged(result, golden, strategy=strategy, dry_run=dry_run))


def _merged(result: MergeResult, golden: list[TraitPart], *, strategy: str, dry_run: bool) -> Merged:
    ids = [merge.pk for merge in result.merges]
    rows: Any = Merge.objects.filter(pk__in=ids).select_related("target", "source").order_by("id") if ids else ()
    return Merged(
        customer_id=str(result.person),
        profile_id=str(result.person),
        dry_run=dry_run,
        strategy=strategy,
        merges=[MergeView.of(row) for row in rows],
        golden=golden,
    )


def _golden(record: GoldenRecord, rights: Rights) -> list[TraitPart]:
    owners = {value.profile_id for value in record.values.values()}
    public_ids = dict(Profile.objects.filter(pk__in=owners).values_list("pk", "public_id"))
    names = source_names()
    clear = sight_of(rights)
    return [
        TraitPart(
            trait_key=key,
            trait_value=shown(key, value.value, clear=clear),
            trait_type=value.type or None,
            source=value.label or names.get(value.source_id),
            computed_at=iso(value.at if value.computed_at is None else value.computed_at),
            expires_at=iso_or_none(value.expires_at),
            metadata=shown("", value.metadata or {}, clear=clear),
            verified=value.verified,
            rule=value.rule,
            profile_id=str(public_ids[value.profile_id]),
        )
        for key, value in sorted(record.values.items())
    ]
