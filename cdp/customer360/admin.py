"""Admin pages that read across: people with their 360° page, and events with the explanation of each."""

import json
import uuid
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin import SimpleListFilter, display
from django.core.exceptions import PermissionDenied
from django.db.models import F, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html

from cdp.access.admin_pages import PlainList, ReadOnlyAdmin, moment
from cdp.access.audit import record_read
from cdp.access.rights import rights_of
from cdp.core.clock import now_us
from cdp.core.errors import Invalid
from cdp.customer360 import admin_purposes, admin_segments  # noqa: F401 - registers their pages
from cdp.customer360.event_page import explained_event
from cdp.customer360.masking import note, sight_of
from cdp.customer360.page import PersonPage, person_page, timeline_rows
from cdp.customer360.people_rows import NO_NAME, PersonRow, people_rows
from cdp.customer360.search import people_found
from cdp.customer360.timeline import EventFilter
from cdp.events.models import Event
from cdp.events.vocabulary import TYPES
from cdp.identities.decisions import Decision
from cdp.profiles.models import Profile
from cdp.traits.catalogue import is_personal

_DECISIONS = {
    Decision.CREATED: "new profile",
    Decision.ATTACHED: "attached",
    Decision.MERGED: "merged people",
    Decision.DEMOTED: "identifier left out",
    Decision.DEMOTED_CREATED: "identifier left out, new profile",
    Decision.CAPPED: "cap reached",
    Decision.REFUSED: "refused",
    Decision.WITHOUT_IDENTIFIER: "no identifier",
    Decision.REDACTED: "stored of nobody",
}


class PeopleList(PlainList):
    """The list of people, with what a person needs to recognise one: four queries for the whole page."""

    def get_results(self, request: HttpRequest) -> None:
        """The page, each person with its row; one audit entry for what is shown in clear."""
        super().get_results(request)
        rights = rights_of(request)
        people = [person.pk for person in self.result_list]
        rows = people_rows(people, now=now_us(), clear=sight_of(rights)) if people else {}
        for person in self.result_list:
            person.row = rows[person.pk]
        ids = [row.public_id for row in rows.values()]
        record_read(rights, object_type="profile", object_ids=ids, fields=("name", "contact"), request=request)


@admin.register(Profile)
class PersonAdmin(ReadOnlyAdmin):
    """People, newest first, found by any identifier; each with their 360° page."""

    list_display = ("name", "reach", "profiles", "event_total", "purchases", "seen", "since")
    search_fields = ("public_id",)  # switches the search on; `get_search_results` is what searches
    search_help_text = "Any identifier: user id, e-mail, phone, device, cookie, external id, or the id of a profile"
    empty_title = "Nobody yet"
    empty_text = "The first event makes the first profile. The overview shows how to send one."

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[PeopleList]:
        """The list that knows names."""
        return PeopleList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Profile]:
        """One row per person: their first profile."""
        people: QuerySet[Profile] = super().get_queryset(request).filter(person_id=F("id"))
        return people

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Profile], search_term: str
    ) -> tuple[QuerySet[Profile], bool]:
        """People by any identifier, by its blind index."""
        if not search_term.strip():
            return queryset, False
        return queryset.filter(pk__in=people_found(search_term)), False

    def get_urls(self) -> list[URLPattern]:
        """With the further pages of a timeline."""
        more = path(
            "<int:person_id>/timeline/", self.admin_site.admin_view(self.timeline), name="profiles_profile_timeline"
        )
        urls: list[URLPattern] = super().get_urls()
        return [more, *urls]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The 360° page; any profile of a person leads to the person."""
        fragment = self._visible(request, object_id)
        if fragment.person_id != fragment.pk:
            return HttpResponseRedirect(reverse("admin:profiles_profile_change", args=[fragment.person_id]))
        rights = rights_of(request)
        wanted, cursor = _timeline_asked(request)
        try:
            page = person_page(fragment, wanted=wanted, cursor=cursor, now=now_us(), clear=sight_of(rights))
        except Invalid as error:
            raise Http404(error.message) from error
        fields = _fields_read(page)
        record_read(rights, object_type="profile", object_ids=[page.public_id], fields=fields, request=request)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": page.name,
            "original": fragment,
            "page": page,
            "types": TYPES,
            "wanted": wanted,
            "more": _more_link(fragment.pk, page.timeline.next, wanted),
            "continued": bool(cursor),
            "may_merge": request.user.has_perm("access.merge_people"),
            "may_state": request.user.has_perm("access.write_data"),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "customer360/person.html", context)

    def timeline(self, request: HttpRequest, person_id: int) -> HttpResponse:
        """The next stretch of a timeline, as lines to append."""
        person = self._visible(request, person_id)
        rights = rights_of(request)
        wanted, cursor = _timeline_asked(request)
        try:
            rows = timeline_rows(person, wanted=wanted, cursor=cursor, clear=sight_of(rights))
        except Invalid as error:
            raise Http404(error.message) from error
        ids = [person.public_id]
        record_read(rights, object_type="profile", object_ids=ids, fields=("events",), request=request)
        context = {"rows": rows.rows, "more": _more_link(person_id, rows.next, wanted)}
        return TemplateResponse(request, "customer360/timeline_rows.html", context)

    def _visible(self, request: HttpRequest, object_id: str | int) -> Profile:
        if not self.has_view_permission(request):
            raise PermissionDenied
        if not str(object_id).isdecimal():
            raise Http404("There is no such profile.")
        return get_object_or_404(Profile, pk=object_id)

    @display(description="Person")
    def name(self, person: Profile) -> str:
        """The name, or who they are as far as known."""
        row = _row(person)
        return row.name or (NO_NAME if not row.contact else "–")

    @display(description="Reached by")
    def reach(self, person: Profile) -> str:
        """E-mail, user id or phone."""
        return _row(person).contact or "–"

    @display(description="Profiles")
    def profiles(self, person: Profile) -> int:
        """How many profiles are this person."""
        return _row(person).profiles

    @display(description="Events")
    def event_total(self, person: Profile) -> int:
        """Events of all their profiles."""
        return _row(person).totals.events

    @display(description="Purchases")
    def purchases(self, person: Profile) -> int:
        """Purchases of all their profiles."""
        return _row(person).totals.purchases

    @display(description="Last seen")
    def seen(self, person: Profile) -> str:
        """Time of the last event."""
        return moment(_row(person).totals.last_seen)

    @display(description="Created")
    def since(self, person: Profile) -> str:
        """When the first profile was made."""
        return moment(person.created_at)


class EventTypeFilter(SimpleListFilter):
    """By the vocabulary, which is asked of nobody: the table is too large to look for the types in use."""

    title = "type"
    parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Every type of the vocabulary."""
        return [(kind, kind.replace("_", " ").capitalize()) for kind in TYPES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Event]) -> QuerySet[Event]:
        """The events of the chosen type."""
        return queryset.filter(type=self.value()) if self.value() else queryset


class DecisionFilter(SimpleListFilter):
    """By what resolution decided."""

    title = "decision"
    parameter_name = "decision"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Every decision there is."""
        return [(str(int(decision)), text) for decision, text in _DECISIONS.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Event]) -> QuerySet[Event]:
        """The events decided so."""
        value = self.value() or ""
        return queryset.filter(decision=int(value)) if value.isdecimal() else queryset


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    """Events as a debugger shows them."""

    list_display = ("when", "shown_name", "type", "person", "source", "decided")
    list_display_links = ("shown_name",)
    list_filter = (EventTypeFilter, DecisionFilter)
    list_select_related = ("source",)
    search_fields = ("name",)  # switches the search on; `get_search_results` is what searches
    search_help_text = "The id of an event, or its exact name"
    empty_title = "No event yet"
    empty_text = "Events appear here seconds after they were sent. The overview shows how to send the first one."
    _DEFERRED: ClassVar = ("body",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Event]:
        """Without the bodies."""
        events: QuerySet[Event] = super().get_queryset(request).defer(*self._DEFERRED)
        return events

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Event], search_term: str
    ) -> tuple[QuerySet[Event], bool]:
        """By id, or by the exact name."""
        term = search_term.strip()
        if not term:
            return queryset, False
        try:
            return queryset.filter(digest=uuid.UUID(term).bytes), False
        except ValueError:
            return queryset.filter(name=term), False

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """What came, what was decided, and why. `object_id` is the number of the row or the id of the event."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        event = get_object_or_404(Event.objects.select_related("profile"), **_event_key(object_id))
        rights = rights_of(request)
        sight = sight_of(rights)
        page = explained_event(event, clear=sight)
        ids = [page.view.customer_id] if page.view.customer_id else []
        record_read(rights, object_type="profile", object_ids=ids, fields=("event",), request=request)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": page.view.event_name or page.view.call,
            "original": event,
            "page": page,
            "when": moment(event.ts),
            "received": moment(event.received),
            "person_id": event.profile.person_id if event.profile_id and event.profile else None,
            "properties": _pretty(page.view.properties),
            "context_json": _pretty(page.view.context),
            "masking": note(sight),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "customer360/event.html", context)

    @display(description="When")
    def when(self, event: Event) -> str:
        """The event's own time."""
        return moment(event.ts)

    @display(description="Event")
    def shown_name(self, event: Event) -> str:
        """The name that was sent, or the kind of call."""
        return event.name or event.get_call_display()

    @display(description="Person")
    def person(self, event: Event) -> str:
        """The way to the person."""
        if not event.profile_id:
            return "nobody"
        link = reverse("admin:profiles_profile_change", args=[event.profile_id])
        return format_html('<a href="{}">Profile {}</a>', link, event.profile_id)

    @display(description="Decision")
    def decided(self, event: Event) -> str:
        """What resolution decided, in two words."""
        return _DECISIONS[Decision(event.decision)]


def _row(person: Profile) -> PersonRow:
    row: PersonRow = person.row  # type: ignore[attr-defined]  # set by PeopleList for the page
    return row


def _timeline_asked(request: HttpRequest) -> tuple[EventFilter, str]:
    kind = request.GET.get("type", "")
    return EventFilter(type=kind if kind in TYPES else None), request.GET.get("cursor", "")


def _more_link(person_id: int, cursor: str | None, wanted: EventFilter) -> dict[str, str] | None:
    if cursor is None:
        return None
    query = f"?cursor={cursor}" + (f"&type={wanted.type}" if wanted.type else "")
    return {
        "page": reverse("admin:profiles_profile_change", args=[person_id]) + query + "#timeline",
        "rows": reverse("admin:profiles_profile_timeline", args=[person_id]) + query,
    }


def _fields_read(page: PersonPage) -> set[str]:
    traits = {row.key for row in page.traits if is_personal(row.key, row.value)}
    return traits | {row.type for row in page.identities} | {"events"}


def _event_key(object_id: str) -> dict[str, Any]:
    if object_id.isdecimal() and len(object_id) < 19:
        return {"pk": int(object_id)}
    try:
        return {"digest": uuid.UUID(object_id).bytes}
    except ValueError:
        raise Http404("There is no such event.") from None


def _pretty(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) if document else ""
