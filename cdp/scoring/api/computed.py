"""Computed traits by REST (T2), and the keys that the catalogue does not describe."""

from typing import Any, ClassVar

import msgspec
from django.db import transaction
from msgspec import UNSET, UnsetType
from rest_framework.request import Request
from rest_framework.response import Response

from cdp.core.clock import iso_or_none, now_us
from cdp.core.errors import Invalid
from cdp.lake.rules.words import aggregate_in_words
from cdp.rest.body import read_body
from cdp.rest.endpoint import Endpoint
from cdp.rest.pages import Page, window
from cdp.rest.schema import PAGE_PARAMETERS, endpoint
from cdp.scoring.preview import SampleValue, sample
from cdp.scoring.uncatalogued import UncataloguedKey, uncatalogued_keys
from cdp.traits.computed import ComputedDefinition, aggregate_of, computed_of, delete_computed, save_computed
from cdp.traits.models import ComputedProgress, ComputedTrait
from cdp.traits.recorded import changed_fields, record_definition

TRAIT = {
    "key": "book_revenue_90d",
    "definition": {
        "event": "purchase",
        "where": {"operator": "AND", "conditions": [{"field": "category", "operator": "=", "value": "Books"}]},
        "aggregate": "sum",
        "property": "revenue",
        "within": "90d",
    },
}


class ComputedView(msgspec.Struct, frozen=True, rename="camel"):
    """A computed trait. `status` is `computing` until everybody has a value of the definition, then `ready`."""

    key: str
    definition: dict[str, Any]
    data_type: str
    words: str
    windowed: bool
    status: str
    computed_at: str | None
    description: str
    owner: str

    @classmethod
    def of(cls, row: ComputedTrait, progress: ComputedProgress) -> "ComputedView":
        """The view of a row."""
        return cls(
            key=row.key,
            definition=row.definition,
            data_type=row.kind,
            words=row.words,
            windowed=row.windowed,
            status="ready" if row.computed_version == row.version else "computing",
            computed_at=iso_or_none(progress.computed_at) if row.computed_version else None,
            description=row.description,
            owner=row.owner,
        )


class ComputedBody(msgspec.Struct, rename="camel"):
    """A computed trait to write. What is left out keeps its value."""

    key: str | UnsetType = UNSET
    definition: dict[str, Any] | UnsetType = UNSET
    description: str | UnsetType = UNSET
    owner: str | UnsetType = UNSET

    def wanted(self, before: ComputedDefinition) -> ComputedDefinition:
        """What is to be written."""
        said = {name: value for name in self.__struct_fields__ if (value := getattr(self, name)) is not UNSET}
        return msgspec.structs.replace(before, **said)


class ComputedPreview(msgspec.Struct, frozen=True, rename="camel"):
    """What a definition means, and its values for a few people."""

    words: str
    data_type: str
    data: list[SampleValue]


class ComputedTraits(Endpoint):
    """`traits/computed`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read", "POST": "describe"}

    @endpoint("Computed traits", Page[ComputedView], parameters=PAGE_PARAMETERS, tag="traits")
    def get(self, request: Request) -> Response:
        """Every computed trait by key."""
        page = window(request)
        rows = ComputedTrait.objects.order_by("key")
        progress = ComputedProgress.objects.get(pk=1)
        part = rows[page.offset : page.offset + page.limit]
        return Response(page.page_of([ComputedView.of(row, progress) for row in part], total=rows.count()))

    @endpoint(
        "Make a computed trait", ComputedView, body=ComputedBody, statuses={201: "Made."}, example=TRAIT, tag="traits"
    )
    def post(self, request: Request) -> Response:
        """400 with the path in the definition when it cannot be used. Values follow within seconds."""
        wanted = read_body(request, ComputedBody).wanted(ComputedDefinition("", {}))
        with transaction.atomic():
            row = save_computed(wanted)
            record_definition(request, "add", row, fields=ComputedDefinition.__struct_fields__)
        return Response(_view(row), status=201)


class OneComputedTrait(Endpoint):
    """`traits/computed/:key`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read", "PUT": "describe", "DELETE": "describe"}

    @endpoint("A computed trait", ComputedView, tag="traits")
    def get(self, _request: Request, trait_key: str) -> Response:
        """404 for another key."""
        return Response(_view(computed_of(trait_key)))

    @endpoint("Change a computed trait", ComputedView, body=ComputedBody, example=TRAIT, tag="traits")
    def put(self, request: Request, trait_key: str) -> Response:
        """What is left out stays. A new definition is computed for everybody within seconds."""
        row = computed_of(trait_key)
        before = ComputedDefinition(row.key, row.definition, row.description, row.owner)
        wanted, was = read_body(request, ComputedBody).wanted(before), dict(vars(row))
        with transaction.atomic():
            row = save_computed(wanted, trait=row)
            record_definition(request, "change", row, fields=changed_fields(row, was))
        return Response(_view(row))

    @endpoint("Delete a computed trait", None, tag="traits")
    def delete(self, request: Request, trait_key: str) -> Response:
        """With its values. 409 while a calculated field uses it."""
        row = computed_of(trait_key)
        with transaction.atomic():
            record_definition(request, "delete", row)
            delete_computed(row)
        return Response(status=204)


class PreviewComputed(Endpoint):
    """`traits/computed/preview`."""

    needs: ClassVar[dict[str, str]] = {"POST": "read"}

    @endpoint("Preview a computed trait", ComputedPreview, body=ComputedBody, example=TRAIT, tag="traits")
    def post(self, request: Request) -> Response:
        """The definition in words and its values for the 20 people who came last; nothing is saved."""
        body = read_body(request, ComputedBody)
        if body.definition is UNSET:
            raise Invalid("Give the `definition`.", details={"path": "definition"})
        aggregate = aggregate_of(body.definition)
        kind = "text" if aggregate.kind == "any" else aggregate.kind
        return Response(ComputedPreview(aggregate_in_words(aggregate), kind, sample(aggregate, now=now_us())))


class Uncatalogued(Endpoint):
    """`traits/uncatalogued`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read"}

    @endpoint("Trait keys that the catalogue does not describe", Page[UncataloguedKey], parameters=PAGE_PARAMETERS,
              tag="traits")  # fmt: skip
    def get(self, request: Request) -> Response:
        """With how many people have them, the most frequent first. Keys that look personal are not counted."""
        return Response(window(request).of(uncatalogued_keys()))


def _view(row: ComputedTrait) -> ComputedView:
    return ComputedView.of(row, ComputedProgress.objects.get(pk=1))
