"""The customer 360 app: no tables, only what reads across the others."""

from django.apps import AppConfig


class Customer360Config(AppConfig):
    """Registers the app under the label `customer360`."""

    name = "cdp.customer360"
    label = "customer360"
    verbose_name = "Customer 360"
