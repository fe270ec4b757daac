"""Admin pages of the trait catalogue."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from cdp.access.admin_pages import PlainAdmin
from cdp.traits.catalogue import forget_catalogue
from cdp.traits.models import TraitDefinition


@admin.register(TraitDefinition)
class TraitDefinitionAdmin(PlainAdmin):
    """What a trait means, who owns it, and who may see it. What has no line here is judged by how it looks."""

    list_display = ("key", "type", "classification", "owner", "description")
    list_filter = ("classification", "type")
    search_fields = ("key", "description", "owner")
    empty_title = "The catalogue is empty"
    empty_text = "Describe a trait, so that others know what it means and who may see it."

    def save_model(self, request: HttpRequest, obj: TraitDefinition, form: Any, change: bool) -> None:
        """Save; this process shows by the new classification at once, others within seconds."""
        super().save_model(request, obj, form, change)
        forget_catalogue()

    def delete_model(self, request: HttpRequest, obj: TraitDefinition) -> None:
        """Delete; this process forgets the classification at once, others within seconds."""
        super().delete_model(request, obj)
        forget_catalogue()
