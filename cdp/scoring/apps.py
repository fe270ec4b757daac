"""The scoring app: it has no tables of its own."""

from django.apps import AppConfig


class ScoringConfig(AppConfig):
    """Registers the app under the label `scoring`."""

    name = "cdp.scoring"
    label = "scoring"
    verbose_name = "Scores"
