"""The providers that there are. A new one is a folder beside this file and a line here."""

from cdp.core.errors import NotFound
from integrations.exacaster.provider import Exacaster
from integrations.provider import Provider

PROVIDERS: dict[str, Provider] = {provider.code: provider for provider in (Exacaster(),)}
"""By code, in the order in which the console offers them."""


def provider_of(code: str) -> Provider:
    """The provider `code`. Raises NotFound."""
    try:
        return PROVIDERS[code]
    except KeyError:
        raise NotFound(f"There is no provider {code[:30]!r}.", code="unknown_provider") from None
