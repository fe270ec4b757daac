"""Admin pages of the identity rules, as data, and of what they decided."""

from django.contrib import admin, messages
from django.contrib.admin import action, display
from django.db.models import QuerySet
from django.http import HttpRequest

from cdp.access.admin_pages import PlainAdmin, ReadOnlyAdmin, moment
from cdp.core.clock import now_us
from cdp.identities.models import BlockedValue, IdentifierType, IdentityLog, QuarantinedIdentifier


@admin.register(IdentifierType)
class IdentifierTypeAdmin(PlainAdmin):
    """The kinds of identifiers, strongest first, and how many of each a person may have."""

    list_display = ("code", "priority", "limit_text", "joins", "browser_finds", "verified_only", "personal")
    search_fields = ("code",)

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Nobody: identifiers of the type would be left without one. Switch off “joins” instead."""
        return False

    @display(description="Values a person may have")
    def limit_text(self, kind: IdentifierType) -> str:
        """The limit as a sentence."""
        return f"{kind.limit} " + ("ever" if kind.window_days is None else f"in {kind.window_days} days")


@admin.register(BlockedValue)
class BlockedValueAdmin(PlainAdmin):
    """Values that are no identifiers."""

    list_display = ("value", "reason")
    search_fields = ("value", "reason")
    empty_title = "No value is blocked"
    empty_text = "Placeholders such as “null” would join strangers. Add them here: case is ignored."


@admin.register(QuarantinedIdentifier)
class QuarantinedIdentifierAdmin(ReadOnlyAdmin):
    """Values that tried to join too many people at once."""

    list_display = ("value_digest", "type", "since", "released")
    list_select_related = ("type",)
    list_disable_select_all = False
    actions = ("release",)
    empty_title = "No value is held back"
    empty_text = "A value that would join more than 20 people within an hour is held back here until you release it."

    @display(description="Digest")
    def value_digest(self, row: QuarantinedIdentifier) -> str:
        """The blind index of the value; the value itself is not kept here."""
        return bytes(row.digest).hex()

    @display(description="Held back since")
    def since(self, row: QuarantinedIdentifier) -> str:
        """When it reached the cap."""
        return moment(row.created_at)

    @display(description="Released")
    def released(self, row: QuarantinedIdentifier) -> str:
        """When it was released."""
        return moment(row.released_at)

    @action(description="Release: let the selected values join people again", permissions=["release"])
    def release(self, request: HttpRequest, rows: QuerySet[QuarantinedIdentifier]) -> None:
        """From the next event on the values are identifiers again."""
        held = list(rows.filter(released_at=None))
        QuarantinedIdentifier.objects.filter(pk__in=[row.pk for row in held]).update(released_at=now_us())
        self.record(request, "release", held, fields=["released_at"])
        messages.success(request, f"Released: {len(held)}.")

    def has_release_permission(self, request: HttpRequest) -> bool:
        """Who may merge people may release what would join them."""
        return request.user.has_perm("access.merge_people")


@admin.register(IdentityLog)
class IdentityLogAdmin(ReadOnlyAdmin):
    """What resolution decided: ids, digests and rule names only. Search by the number of a profile."""

    list_display = ("when", "kind", "rule", "profile_id", "other_id", "actor")
    list_filter = ("kind",)
    search_fields = ("profile_id",)
    search_help_text = "The internal number of a profile"
    readonly_fields = (
        "when",
        "kind",
        "rule",
        "profile_id",
        "other_id",
        "type_id",
        "digest_text",
        "event_text",
        "actor",
    )
    fields = readonly_fields
    empty_title = "Nothing was decided yet"
    empty_text = "Every profile created, every merge, refusal and identifier left out is written here, with its rule."

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[IdentityLog], search_term: str
    ) -> tuple[QuerySet[IdentityLog], bool]:
        """Rows of the profile with that number: by the index, never by comparing texts."""
        if not search_term.strip():
            return queryset, False
        number = search_term.strip()
        return (queryset.filter(profile_id=int(number)) if number.isdecimal() else queryset.none()), False

    @display(description="When")
    def when(self, row: IdentityLog) -> str:
        """The time of the decision."""
        return moment(row.at)

    @display(description="Identifier (digest)")
    def digest_text(self, row: IdentityLog) -> str:
        """The blind index of the identifier that decided."""
        return "–" if row.digest is None else bytes(row.digest).hex()

    @display(description="Event (digest)")
    def event_text(self, row: IdentityLog) -> str:
        """The id of the event."""
        return "–" if row.event is None else bytes(row.event).hex()
