"""Exacaster CVM Platform as a provider: what its form asks and how its columns become a profile."""

from integrations.exacaster.client import fetch_customer
from integrations.mapping import Mapping, Rule
from integrations.provider import Account, Entry, Fetched

MAPPING = Mapping(
    fields={
        "customer_id": Rule("userId", "text", personal=True),
        "as_of": Rule("dt", "date", "As of"),
        "current_phone": Rule("current_phone", "text", "Current phone model"),
        "subscriptions.netflix": Rule("has_netflix", "boolean", "Netflix"),
        "subscriptions.hbo": Rule("has_hbo", "boolean", "HBO"),
        "subscriptions.amazon_prime": Rule("has_amazon_prime", "boolean", "Amazon Prime"),
        "subscriptions.mobile_count": Rule("mobile_subscriptions_count_daily", "integer", "Mobile subscriptions"),
        "subscriptions.home_count": Rule("home_subscriptions_count_daily", "integer", "Home subscriptions"),
        "mobile_revenue": Rule("mobile_subscriptions_revenue", "number", "Revenue of mobile subscriptions"),
    },
    ignore=("userIdType",),
)


class Exacaster:
    """Customer 360 of Exacaster's CVM platform, by its REST API."""

    code = "exacaster"
    name = "Exacaster CVM Platform"
    form = (
        Entry(
            "api_url",
            "API URL",
            "Up to and with the version, as https://customer360.exacaster.com/courier/api/v1",
            setting="EXACASTER_API_URL",
            kind="url",
        ),
        Entry("workspace_id", "Workspace id", setting="EXACASTER_WORKSPACE_ID"),
        Entry("resource_id", "Resource id", setting="EXACASTER_RESOURCE_ID"),
        Entry(
            "bearer_token",
            "Bearer token",
            "Kept encrypted and never shown again.",
            setting="EXACASTER_BEARER_TOKEN",
            kind="secret",
        ),
    )
    mapping = MAPPING

    def fetch(self, account: Account, customer_id: str, *, seconds: float) -> Fetched:
        """See `integrations.provider.Provider`."""
        return fetch_customer(account, customer_id, seconds=seconds)
