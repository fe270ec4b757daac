"""The trait catalogue and calculated fields by REST (T3, T4)."""

from typing import ClassVar

import msgspec
from django.db import transaction
from msgspec import UNSET, UnsetType
from rest_framework.request import Request
from rest_framework.response import Response

from cdp.lake.fields.functions import FUNCTIONS, OPERATORS
from cdp.rest.body import read_body
from cdp.rest.endpoint import Endpoint
from cdp.rest.pages import Page, window
from cdp.rest.schema import PAGE_PARAMETERS, endpoint
from cdp.traits.calculated import FieldDefinition, checked_kind, delete_field, field_of, save_field
from cdp.traits.definitions import Line, definition_of, describe, forget
from cdp.traits.models import CalculatedField, TraitDefinition
from cdp.traits.recorded import changed_fields, record_definition

LINE = {"key": "plan", "type": "PREFERENCE", "dataType": "text", "classification": "internal", "owner": "Growth"}
FIELD = {"key": "tier", "expression": "if(totalSpent > 500, 'gold', 'basic')", "description": "By what was spent"}


class LineView(msgspec.Struct, frozen=True, rename="camel"):
    """A line of the catalogue. `data_type` null: values of any kind; `readers` are groups, none: everybody."""

    key: str
    type: str
    data_type: str | None
    classification: str
    readers: list[str]
    description: str
    owner: str

    @classmethod
    def of(cls, row: TraitDefinition) -> "LineView":
        """The view of a row."""
        return cls(
            row.key, row.type, row.data_type or None, row.classification, row.readers, row.description, row.owner
        )


class LineBody(msgspec.Struct, rename="camel"):
    """A line to write. What is left out keeps its value, or its default when the line is new."""

    key: str | UnsetType = UNSET
    type: str | UnsetType = UNSET
    data_type: str | UnsetType | None = UNSET
    classification: str | UnsetType = UNSET
    readers: list[str] | UnsetType = UNSET
    description: str | UnsetType = UNSET
    owner: str | UnsetType = UNSET

    def line(self, before: Line) -> Line:
        """What is to be written."""
        said = {name: value for name in self.__struct_fields__ if (value := getattr(self, name)) is not UNSET}
        said["data_type"] = said.get("data_type", before.data_type) or ""
        said["readers"] = tuple(said.get("readers", before.readers))
        return msgspec.structs.replace(before, **said)


class FieldView(msgspec.Struct, frozen=True, rename="camel"):
    """A calculated field; `data_type` is the kind of its values."""

    key: str
    expression: str
    data_type: str
    description: str
    owner: str

    @classmethod
    def of(cls, row: CalculatedField) -> "FieldView":
        """The view of a row."""
        return cls(row.key, row.expression, row.kind, row.description, row.owner)


class FieldBody(msgspec.Struct, rename="camel"):
    """A calculated field to write. What is left out keeps its value."""

    key: str | UnsetType = UNSET
    expression: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    owner: str | UnsetType = UNSET

    def definition(self, before: FieldDefinition) -> FieldDefinition:
        """What is to be written."""
        said = {name: value for name in self.__struct_fields__ if (value := getattr(self, name)) is not UNSET}
        return msgspec.structs.replace(before, **said)


class Checked(msgspec.Struct, frozen=True, rename="camel"):
    """The kind of the values that an expression gives."""

    data_type: str


class FunctionView(msgspec.Struct, frozen=True):
    """A function or operator of expressions: how it is written and what it gives."""

    name: str
    usage: str
    words: str


class Functions(msgspec.Struct, frozen=True):
    """Everything that expressions may use."""

    data: list[FunctionView]


class Catalogue(Endpoint):
    """`traits/catalogue`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read", "POST": "describe"}

    @endpoint("The trait catalogue", Page[LineView], parameters=PAGE_PARAMETERS, tag="traits")
    def get(self, request: Request) -> Response:
        """Every catalogued trait by key: what it means, what its values are, who owns it, who may read it."""
        page = window(request)
        rows = TraitDefinition.objects.order_by("key")
        part = rows[page.offset : page.offset + page.limit]
        return Response(page.page_of([LineView.of(row) for row in part], total=rows.count()))

    @endpoint(
        "Catalogue a trait", LineView, body=LineBody, statuses={201: "In the catalogue."}, example=LINE, tag="traits"
    )
    def post(self, request: Request) -> Response:
        """409 when the key is there."""
        line = read_body(request, LineBody).line(Line(""))
        with transaction.atomic():
            row = describe(line)
            record_definition(request, "add", row, fields=Line.__struct_fields__)
        return Response(LineView.of(row), status=201)


class CatalogueLine(Endpoint):
    """`traits/catalogue/:key`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read", "PUT": "describe", "DELETE": "describe"}

    @endpoint("A line of the trait catalogue", LineView, tag="traits")
    def get(self, _request: Request, trait_key: str) -> Response:
        """404 for a key that the catalogue does not have."""
        return Response(LineView.of(definition_of(trait_key)))

    @endpoint("Change a line of the trait catalogue", LineView, body=LineBody, example=LINE, tag="traits")
    def put(self, request: Request, trait_key: str) -> Response:
        """What is left out stays. A new data type gives the trait a typed column in the history."""
        row = definition_of(trait_key)
        before = Line(
            row.key, row.type, row.data_type, row.classification, tuple(row.readers), row.description, row.owner
        )
        line, was = read_body(request, LineBody).line(before), dict(vars(row))
        with transaction.atomic():
            row = describe(line, definition=row)
            record_definition(request, "change", row, fields=changed_fields(row, was))
        return Response(LineView.of(row))

    @endpoint("Take a trait out of the catalogue", None, tag="traits")
    def delete(self, request: Request, trait_key: str) -> Response:
        """The values stay."""
        row = definition_of(trait_key)
        with transaction.atomic():
            record_definition(request, "delete", row)
            forget(row)
        return Response(status=204)


class CalculatedFields(Endpoint):
    """`traits/calculated`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read", "POST": "describe"}

    @endpoint("Calculated fields", Page[FieldView], parameters=PAGE_PARAMETERS, tag="traits")
    def get(self, request: Request) -> Response:
        """Every calculated field by key."""
        page = window(request)
        rows = CalculatedField.objects.order_by("key")
        part = rows[page.offset : page.offset + page.limit]
        return Response(page.page_of([FieldView.of(row) for row in part], total=rows.count()))

    @endpoint(
        "Make a calculated field", FieldView, body=FieldBody, statuses={201: "Made."}, example=FIELD, tag="traits"
    )
    def post(self, request: Request) -> Response:
        """400 with the position in the expression when it cannot be used."""
        wanted = read_body(request, FieldBody).definition(FieldDefinition("", ""))
        with transaction.atomic():
            row = save_field(wanted)
            record_definition(request, "add", row, fields=FieldDefinition.__struct_fields__)
        return Response(FieldView.of(row), status=201)


class CheckExpression(Endpoint):
    """`traits/calculated/check`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read", "POST": "read"}

    @endpoint("What expressions may use", Functions, tag="traits")
    def get(self, _request: Request) -> Response:
        """The functions and operators, with how each is written and what it gives."""
        every = {**OPERATORS, **FUNCTIONS}
        return Response(Functions([FunctionView(name, known.usage, known.words) for name, known in every.items()]))

    @endpoint("Check an expression", Checked, body=FieldBody, example=FIELD, tag="traits")
    def post(self, request: Request) -> Response:
        """The kind of its values, or 400 with the position; nothing is saved. With `key` as a change of that field."""
        wanted = read_body(request, FieldBody).definition(FieldDefinition("", ""))
        known = CalculatedField.objects.filter(key=wanted.key).first()
        return Response(Checked(checked_kind(wanted, replaced=known)))


class OneCalculatedField(Endpoint):
    """`traits/calculated/:key`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read", "PUT": "describe", "DELETE": "describe"}

    @endpoint("A calculated field", FieldView, tag="traits")
    def get(self, _request: Request, trait_key: str) -> Response:
        """404 for another key."""
        return Response(FieldView.of(field_of(trait_key)))

    @endpoint("Change a calculated field", FieldView, body=FieldBody, example=FIELD, tag="traits")
    def put(self, request: Request, trait_key: str) -> Response:
        """What is left out stays. 409 when another field would break."""
        row = field_of(trait_key)
        before = FieldDefinition(row.key, row.expression, row.description, row.owner)
        wanted, was = read_body(request, FieldBody).definition(before), dict(vars(row))
        with transaction.atomic():
            row = save_field(wanted, field=row)
            record_definition(request, "change", row, fields=changed_fields(row, was))
        return Response(FieldView.of(row))

    @endpoint("Delete a calculated field", None, tag="traits")
    def delete(self, request: Request, trait_key: str) -> Response:
        """409 while another field uses it."""
        row = field_of(trait_key)
        with transaction.atomic():
            record_definition(request, "delete", row)
            delete_field(row)
        return Response(status=204)
