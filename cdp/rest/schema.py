"""The OpenAPI document from the structs that the views read and answer with: one definition for code and document."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from drf_spectacular.extensions import OpenApiSerializerExtension
from drf_spectacular.plumbing import ResolvedComponent
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema

from cdp.rest.errors import ErrorBody
from cdp.rest.pages import MAX_LIMIT

F = TypeVar("F", bound=Callable[..., Any])
_REF = "#/components/schemas/{name}"


class Shape:
    """A type that msgspec knows (a struct, or a generic one with its argument) in a form that drf-spectacular takes."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind


class _ShapeExtension(OpenApiSerializerExtension):
    target_class = Shape

    def get_name(self, auto_schema: Any, direction: str) -> str:  # noqa: ARG002 - the extension's interface
        return _name(self.target.kind)

    def map_serializer(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        (_,), components = msgspec.json.schema_components([self.target.kind], ref_template=_REF)
        own = self.get_name(auto_schema, direction)
        for name, schema in components.items():
            if name != own:
                auto_schema.registry.register_on_missing(
                    ResolvedComponent(name=name, type=ResolvedComponent.SCHEMA, object=Shape, schema=schema)
                )
        return dict(components[own])


def _name(kind: Any) -> str:
    """The name that msgspec gives the component: `Page[EventView]` is Page_EventView_."""
    (reference,), _ = msgspec.json.schema_components([kind], ref_template=_REF)
    return re.sub(r".*/", "", reference["$ref"])


PAGE_PARAMETERS = (
    OpenApiParameter("page", {"type": "integer", "minimum": 1, "default": 1}, description="Which page, from 1."),
    OpenApiParameter(
        "limit",
        {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": 50},
        description="How many a page holds.",
    ),
)


def parameter(
    name: str, description: str, *, kind: Any = OpenApiTypes.STR, required: bool = False, enum: Sequence[str] = ()
) -> OpenApiParameter:
    """A query parameter."""
    return OpenApiParameter(name, kind, description=description, required=required, enum=list(enum) or None)


def endpoint(
    summary: str,
    answer: Any,
    *,
    body: Any = None,
    statuses: Mapping[int, str] | None = None,
    parameters: Sequence[OpenApiParameter] = (),
    example: Any = None,
    body_required: bool = True,
    files: Sequence[str] = (),
    tag: str = "",
) -> Callable[[F], F]:
    """Describe a view's method: what it takes and answers (structs), and the statuses that it can give.

    Every method can also be answered with the errors, all of them an ErrorBody. `answer` None is 204. The method's
    docstring is the description. `files` are the media types of a file that is the answer instead.
    """
    given = {} if files else statuses or ({204: "Done."} if answer is None else {200: "Done."})
    responses: dict[Any, Any] = {
        status: OpenApiResponse(Shape(answer) if answer is not None else None, description=text)
        for status, text in given.items()
    }
    responses |= {(200, media): OpenApiResponse(OpenApiTypes.BINARY, description="A file.") for media in files}
    error = Shape(ErrorBody)
    for status, text in _ERRORS.items():
        responses.setdefault(status, OpenApiResponse(error, description=text))
    examples = [OpenApiExample("Example", value=example, request_only=True)] if example is not None else []
    request = Shape(body) if body is not None else None
    described: Callable[[F], F] = extend_schema(
        operation_id=_camel(summary),
        summary=summary,
        request=request if body_required else {"application/json": request},
        responses=responses,
        parameters=list(parameters),
        examples=examples,
        tags=[tag] if tag else None,
    )
    return described


def _camel(summary: str) -> str:
    first, *rest = (str(word) for word in re.findall(r"[a-z0-9]+", summary.lower()))
    return first + "".join(word.capitalize() for word in rest)


_ERRORS = {
    400: "The request cannot be used; `message` says why and `details.path` names the field.",
    401: "No key, or one that is not known.",
    403: "The key or user has not the scope.",
    404: "Nothing has that id.",
    405: "The address does not take this method.",
    409: "The state does not allow it.",
    413: "The body is too large.",
    429: "Too many requests; `Retry-After` says when to try again.",
    503: "The store cannot take it now; try again.",
}


def documented(endpoints: list[tuple[str, str, str, Any]]) -> list[tuple[str, str, str, Any]]:
    """Of the addresses that lead to the same view only the one below /api/v1/ without a slash at its end."""
    return [found for found in endpoints if found[0].startswith("/api/v1/") and not found[0].endswith("/")]
