"""`/widget/demo`: the widget on a page of its own, to see what it does with a key and in every state."""

from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_http_methods

from cdp.access.audit import record_read
from cdp.access.rights import rights_of
from cdp.core.clock import now_us
from widget_api.fields import open_fields
from widget_api.keys import create_widget_key, widget_key_of
from widget_api.models import WidgetKey
from widget_api.tokens import customer_digest, sign_token

_NAME = "Demo page"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types demo"
)


@require_http_methods(["GET", "HEAD", "POST"])
@csrf_protect
def demo(request: HttpRequest) -> HttpResponse:
    """The page. Whoever may see personal data can have a token signed for an id; that leaves an audit entry."""
    if request.method == "POST" and request.POST.get("do") == "create" and _may(request, "widget_api.add_widgetkey"):
        origin = f"{request.scheme}://{request.get_host()}"
        fields = open_fields()
        if not WidgetKey.objects.filter(name=_NAME).exists():
            create_widget_key(_NAME, origins=[origin], fields=fields, open_lookup=True)
    keys = WidgetKey.objects.filter(enabled=True) if _may(request, "widget_api.view_widgetkey") else None
    context: dict[str, Any] = {
        "keys": keys,
        "key": _key(request, keys),
        "may_sign": _may(request, "access.view_personal"),
        "may_add": _may(request, "widget_api.add_widgetkey"),
        "token": "",
        "problems": [],
    }
    if request.method == "POST" and request.POST.get("do") == "sign" and context["may_sign"]:
        _sign(request, context)
    answer = render(request, "widget_api/demo.html", context)
    answer["Content-Security-Policy"] = _POLICY
    answer["Cache-Control"] = "no-store"
    return answer


def _may(request: HttpRequest, permission: str) -> bool:
    return bool(request.user.is_authenticated and request.user.is_staff and request.user.has_perm(permission))


def _key(request: HttpRequest, keys: QuerySet[WidgetKey] | None) -> WidgetKey | None:
    """The key that the address names, or the first for those who may see all."""
    named = request.GET.get("key", "")
    if named:
        return WidgetKey.objects.filter(key=named, enabled=True).first()
    return keys.first() if keys is not None else None


def _sign(request: HttpRequest, context: dict[str, Any]) -> None:
    customer = request.POST.get("id", "").strip()[:200]
    key = widget_key_of(context["key"].key) if context["key"] is not None else None
    if key is None or not customer:
        context["problems"].append("Give the customer ID to sign a token for.")
    elif not key.secrets:
        context["problems"].append("This key has no secret yet: make one on its page in the console.")
    else:
        context["token"] = sign_token(customer, key, now=now_us())
        record_read(
            rights_of(request),
            object_type="customer",
            object_ids=[customer_digest(customer)],
            fields=set(key.fields) - set(key.open_fields),
            request=request,
            action="widget demo",
        )
