"""A shop with a widget key and one secret, for the tests."""

from dataclasses import dataclass

from cdp.core.clock import now_us
from widget_api.keys import KeyRef, add_secret, create_widget_key, forget_widget_keys, save_widget_key, widget_key_of
from widget_api.models import WidgetKey
from widget_api.tokens import sign_token

ORIGIN = "https://shop.example"


@dataclass
class Shop:
    """A key, and the secret that the shop's server has of it."""

    row: WidgetKey
    kid: str
    secret: str

    @property
    def ref(self) -> KeyRef:
        """The key as a request sees it."""
        forget_widget_keys()
        found = widget_key_of(self.row.key)
        assert found is not None
        return found

    def token(self, customer: str, *, now: int | None = None, seconds: int = 3600) -> str:
        """A token for `customer`."""
        return sign_token(customer, self.ref, now=now if now is not None else now_us(), seconds=seconds)

    def change(self, **columns: object) -> None:
        """Edit the key as the console does."""
        for name, value in columns.items():
            setattr(self.row, name, value)
        save_widget_key(self.row)


def new_shop(name: str = "Shop", **columns: object) -> Shop:
    """A key for `ORIGIN` and `*.shop.example`, unless `origins` says otherwise, with one secret."""
    row = create_widget_key(name, **{"origins": [ORIGIN, "https://*.shop.example"], **columns})
    secret, clear = add_secret(row)
    return Shop(row, secret.kid, clear)
