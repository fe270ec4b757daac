"""Admin pages of the quarantine: what was wrong with a message, and a form to correct and replay it (E7)."""

from typing import Any

import msgspec
from django.contrib import admin, messages
from django.contrib.admin import action, display
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse

from cdp.access.admin_pages import ReadOnlyAdmin, moment
from cdp.access.audit import record_read
from cdp.access.rights import rights_of
from cdp.core.crypto import KeyMissing
from cdp.customer360.masking import Sight, shown, sight_of
from cdp.events.models import QuarantinedMessage
from cdp.pipeline.quarantine import Replay, discard, quarantined_text, replay
from cdp.pipeline.spool import collect_spool

_LISTING = "admin:events_quarantinedmessage_changelist"


@admin.register(QuarantinedMessage)
class QuarantineAdmin(ReadOnlyAdmin):
    """Messages that could not be used."""

    list_display = ("when", "source", "code", "reason", "stage", "status")
    list_filter = ("status", "stage")
    list_select_related = ("source",)
    list_disable_select_all = False
    actions = ("replay_selected", "discard_selected")
    empty_title = "Nothing is in quarantine"
    empty_text = "A message that cannot be used is kept here with the reason, to be corrected and replayed."

    def get_queryset(self, request: HttpRequest) -> QuerySet[QuarantinedMessage]:
        """All of them, those too that the door has left in a file of its own."""
        collect_spool()
        rows: QuerySet[QuarantinedMessage] = super().get_queryset(request)
        return rows

    @display(description="Received")
    def when(self, row: QuarantinedMessage) -> str:
        """When it came."""
        return moment(row.received)

    @action(description="Replay the selected messages", permissions=["replay"])
    def replay_selected(self, request: HttpRequest, rows: QuerySet[QuarantinedMessage]) -> None:
        """Check them again as they are: after the cause was mended."""
        tell(request, replay(list(rows.values_list("pk", flat=True)), actor=rights_of(request).actor))

    @action(description="Discard the selected messages", permissions=["replay"])
    def discard_selected(self, request: HttpRequest, rows: QuerySet[QuarantinedMessage]) -> None:
        """Say that nothing is to be done about them."""
        count = discard(list(rows.values_list("pk", flat=True)), actor=rights_of(request).actor)
        messages.success(request, f"Discarded: {count}.")

    def has_replay_permission(self, request: HttpRequest) -> bool:
        """Whether the user may correct, replay and discard."""
        return request.user.has_perm("access.replay_quarantine")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The message with its reason; a form for those who may replay and see personal data."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = get_object_or_404(QuarantinedMessage.objects.select_related("source"), pk=_number(object_id))
        rights = rights_of(request)
        sight = sight_of(rights)
        may_replay = self.has_replay_permission(request) and row.status == QuarantinedMessage.Status.OPEN
        text, problem = _text_of(row)
        if request.method == "POST":
            if not may_replay:
                raise PermissionDenied
            answer = self._resolve(request, row, before=text, may_correct=bool(sight))
            if isinstance(answer, HttpResponse):
                return answer
            problem, text = answer, request.POST.get("message", text)
        record_read(rights, object_type="quarantine", object_ids=[str(row.pk)], fields=("message",), request=request)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": row.reason,
            "row": row,
            "received": moment(row.received),
            "resolved": moment(row.resolved_at),
            "text": text if sight else _masked(text, sight),
            "problem": problem,
            "clear": bool(sight),
            "may_replay": may_replay,
            "may_correct": may_replay and bool(sight),
            "listing": reverse(_LISTING),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "pipeline/quarantined.html", context)

    def _resolve(
        self, request: HttpRequest, row: QuarantinedMessage, *, before: str, may_correct: bool
    ) -> HttpResponse | str:
        """Do what the form asks; the sentence that says why not, when it cannot be done."""
        actor = rights_of(request).actor
        if "discard" in request.POST:
            discard([row.pk], actor=actor)
            messages.success(request, "Discarded.")
            return HttpResponseRedirect(reverse(_LISTING))
        text = request.POST.get("message", before).replace("\r\n", "\n")
        corrected = text.encode() if may_correct and text != before else None
        if corrected is not None:
            try:
                msgspec.json.decode(corrected)
            except msgspec.DecodeError as error:
                return f"This is no JSON yet: {error}."
        result = replay([row.pk], corrected=corrected, actor=actor)
        if result.refused:
            return f"Still refused: {result.refused[0].message}"
        tell(request, result)
        return HttpResponseRedirect(reverse(_LISTING))


def tell(request: HttpRequest, result: Replay) -> None:
    """Say what became of a replay."""
    if result.replayed:
        messages.success(request, f"Replayed: {len(result.replayed)}. The worker processes them within seconds.")
    if result.duplicates:
        messages.info(request, f"Had arrived by another way meanwhile: {len(result.duplicates)}.")
    if result.skipped:
        messages.warning(request, f"Not open any more: {len(result.skipped)}.")
    for refused in result.refused[:5]:
        messages.error(request, f"Message {refused.id} is still refused: {refused.message}")
    if len(result.refused) > 5:
        messages.error(request, f"And {len(result.refused) - 5} more are still refused.")


def _number(object_id: str) -> int:
    return int(object_id) if object_id.isdecimal() and len(object_id) < 19 else 0


def _text_of(row: QuarantinedMessage) -> tuple[str, str]:
    """The message as text, indented when it is JSON, and a sentence when it cannot be read."""
    try:
        raw = quarantined_text(row)
    except KeyMissing:
        return "", "It was encrypted with a key that is not there any more."
    try:
        return msgspec.json.format(raw, indent=2).decode(), ""
    except (msgspec.DecodeError, UnicodeDecodeError):
        return raw.decode(errors="replace"), ""


def _masked(text: str, sight: Sight) -> str:
    try:
        document = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return "Hidden: what is no JSON cannot be masked part by part."
    return msgspec.json.format(msgspec.json.encode(shown("", document, clear=sight)), indent=2).decode()
