"""The public page of the link that verifies a request. It confirms by a button: mail scanners open links."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from cdp.access.throttles import within_limit
from cdp.core.address import shortened
from cdp.core.clock import from_us
from cdp.core.errors import NotFound
from cdp.core.origin import current_origin
from cdp.privacy.verification import confirm, disown, request_of_token

LIMIT = 30
"""Looks and tries a minute from one network."""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'"


@csrf_exempt  # who knows the token of the address may confirm: another site does not know it
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def verify_page(request: HttpRequest, token: str) -> HttpResponse:
    """What was asked and when, with the buttons “Confirm” and “This was not me”; then what became of it.

    A link that is not good any more, whatever the reason, is one and the same 404.
    """
    if not within_limit(f"verify:{shortened(current_origin().address)}", LIMIT):
        return _page(request, 429, state="busy")
    try:
        if request.method != "POST":
            found = request_of_token(token)
            received = date_format(localtime(from_us(found.created_at)), "j F Y")
            return _page(request, 200, state="asking", kind=found.kind, received=received)
        if "disown" in request.POST:
            disown(token)
            return _page(request, 200, state="disowned")
        confirm(token)
        return _page(request, 200, state="confirmed")
    except NotFound:
        return _page(request, 404, state="gone")


def _page(request: HttpRequest, status: int, **context: str) -> HttpResponse:
    answer = render(request, "privacy/verify.html", context, status=status)
    answer["Referrer-Policy"] = "no-referrer"
    answer["X-Robots-Tag"] = "noindex"
    answer["Content-Security-Policy"] = _POLICY
    return answer
