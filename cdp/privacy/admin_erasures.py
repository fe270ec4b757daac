"""Admin pages of erasures: how far each is, its receipt, and a form that erases people after a typed confirmation."""

import uuid
from collections.abc import Sequence
from typing import Any

import msgspec
from django.contrib import admin, messages
from django.contrib.admin import display
from django.core.exceptions import PermissionDenied
from django.db.models import Sum
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from cdp.access.admin_pages import ReadOnlyAdmin, moment
from cdp.access.audit import record_read
from cdp.access.rights import rights_of
from cdp.core.errors import DomainError
from cdp.privacy.api.erasures import MOST, erasure_steps, receipt_file
from cdp.privacy.erase import delete_at_once
from cdp.privacy.holds import held
from cdp.privacy.models import Erasure
from cdp.privacy.whom import person_called
from cdp.profiles.models import Profile

_LISTING = "admin:privacy_erasure_changelist"
_LOOKS = {"done": "pf-good", "partial": "pf-warn"}
_NAMES = {
    "store": "Operational store and waiting messages",
    "requests": "Requests and packages",
    "look-ups": "Look-ups at other platforms",
    "audit": "Audit",
    "lake": "History",
    "proof": "Scan of every store",
}
_SHOWN = 20


@admin.register(Erasure)
class ErasureAdmin(ReadOnlyAdmin):
    """People who were erased, and are being erased; nobody can tell from it who they were."""

    list_display = ("number", "state", "started", "ended", "for_request", "actor", "problem")
    list_filter = ("status",)
    list_select_related = ("request",)
    empty_title = "Nobody was erased yet"
    empty_text = "Erase people with the button above, or carry out a deletion request: each gets a signed receipt."

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Who may erase."""
        return bool(request.user.has_perm("privacy.add_erasure"))

    @display(description="Erasure")
    def number(self, row: Erasure) -> str:
        """Its id."""
        return str(row.public_id)

    @display(description="State")
    def state(self, row: Erasure) -> SafeString:
        """As a coloured word."""
        return format_html('<span class="pf-tag {}">{}</span>', _LOOKS.get(row.status, ""), row.get_status_display())

    @display(description="Began")
    def started(self, row: Erasure) -> str:
        """When."""
        return moment(row.started_at)

    @display(description="Proven")
    def ended(self, row: Erasure) -> str:
        """When."""
        return moment(row.ended_at)

    @display(description="Request")
    def for_request(self, row: Erasure) -> str:
        """The request that asked for it."""
        return str(row.request.public_id) if row.request is not None else "–"

    @display(description="In the way")
    def problem(self, row: Erasure) -> str:
        """Why it is not done."""
        return next((one.problem for one in erasure_steps(row.steps) if one.problem and not one.done), None) or "–"

    def get_urls(self) -> list[URLPattern]:
        """With the receipt."""
        view = self.admin_site.admin_view(self.receipt)
        urls: list[URLPattern] = super().get_urls()
        return [path("<path:object_id>/receipt/", view, name="privacy_erasure_receipt"), *urls]

    def receipt(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The receipt as a file."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return receipt_file(_row(object_id))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Each part with what went, the receipt, and a button to go on at once."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = _row(object_id)
        if request.method == "POST":
            if not self.has_add_permission(request):
                raise PermissionDenied
            Erasure.objects.filter(pk=row.pk, holder="").update(expires_at=0)
            messages.info(request, "The worker goes on within seconds.")
            return HttpResponseRedirect(request.path)
        receipt = row.receipt
        steps = erasure_steps(row.steps)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"Erasure {row.public_id}",
            "row": row,
            "look": _LOOKS.get(row.status, ""),
            "began": moment(row.started_at),
            "proven": moment(row.ended_at),
            "steps": [(_NAMES[one.name], one, sum(one.erased.values())) for one in steps],
            "receipt": msgspec.json.format(msgspec.json.encode(receipt), indent=2).decode() if receipt else "",
            "stores": len(receipt["scanned"]) if receipt else 0,
            "others": sum(one["others"] for one in receipt["scanned"].values()) if receipt else 0,
            "may_go_on": row.status == Erasure.Status.PARTIAL and self.has_add_permission(request),
            "listing": reverse(_LISTING),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "privacy/erasure.html", context)

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Whom, then what it means, then a word to type."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        text = request.POST.get("who", "")
        people, problem = _named(text) if request.method == "POST" else ([], "")
        word = f"erase {len(people)}"
        typed = request.POST.get("word", "").strip().lower()
        if people and not problem and typed == word:
            try:
                begun = delete_at_once(people, actor=rights_of(request).actor)
            except DomainError as error:
                problem = error.message
            else:
                messages.success(request, f"Erased: {len(begun)}. The worker clears history and proves it.")
                return HttpResponseRedirect(reverse(_LISTING))
        elif people and not problem and "word" in request.POST:
            problem = f"Type “{word}” to confirm."
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Erase people",
            "who": text,
            "problem": problem,
            "word": word,
            "found": _figures(request, people) if people and not _kept(people) else None,
            "listing": reverse(_LISTING),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "privacy/erase.html", context)


def _row(object_id: str) -> Erasure:
    try:
        found = Erasure.objects.select_related("request").filter(public_id=uuid.UUID(object_id)).first()
    except ValueError:
        number = int(object_id) if object_id.isdecimal() and len(object_id) < 19 else 0
        found = Erasure.objects.select_related("request").filter(pk=number).first()
    if found is None:
        raise Http404
    return found


def _named(text: str) -> tuple[list[Profile], str]:
    """The people that the lines of a text name, and what is wrong with it (blank: nothing)."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return [], "Say whom: one identifier in each line."
    if len(lines) > MOST:
        return [], f"Erase at most {MOST} people at once here."
    people: dict[int, Profile] = {}
    for number, line in enumerate(lines, 1):
        try:
            person = person_called(line)
        except DomainError as error:
            return [], f"Line {number}: {error.message}"
        people[person.pk] = person
    found = list(people.values())
    kept = _kept(found)
    return found, f"{kept} of them are under a legal hold: leave them out, or release it first." if kept else ""


def _kept(people: Sequence[Profile]) -> int:
    return len(held(person.pk for person in people))


def _figures(request: HttpRequest, people: Sequence[Profile]) -> dict[str, Any]:
    """What would go. Who looks at the ids has read them."""
    profiles = Profile.objects.filter(person_id__in=[person.pk for person in people])
    ids = [str(person.public_id) for person in people]
    record_read(rights_of(request), object_type="profile", object_ids=ids, fields=("id",), request=request)
    return {
        "people": len(people),
        "profiles": profiles.count(),
        "events": profiles.aggregate(events=Sum("event_count"))["events"] or 0,
        "ids": ids[:_SHOWN],
        "more": max(0, len(ids) - _SHOWN),
    }
