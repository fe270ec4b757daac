"""The compliance page of the console."""

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from cdp.core.clock import now_us
from cdp.privacy.compliance_page import compliance_page


def compliance(request: HttpRequest) -> HttpResponse:
    """For those who may see requests of people. It names nobody."""
    if not request.user.has_perm("privacy.view_privacyrequest"):
        raise PermissionDenied
    context = {
        **admin.site.each_context(request),
        "title": "Compliance",
        "page": compliance_page(now_us()),
        "may_add_policy": request.user.has_perm("privacy.add_retentionpolicy"),
        "may_see_policies": request.user.has_perm("privacy.view_retentionpolicy"),
    }
    return TemplateResponse(request, "privacy/compliance.html", context)
