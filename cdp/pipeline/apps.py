"""The pipeline app."""

from django.apps import AppConfig


class PipelineConfig(AppConfig):
    """Registers the app under the label `pipeline`."""

    name = "cdp.pipeline"
    label = "pipeline"
    verbose_name = "Pipeline"
    default_auto_field = "django.db.models.BigAutoField"
