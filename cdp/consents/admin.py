"""Admin pages of consent."""

from cdp.consents import admin_gate  # noqa: F401 - registers its page
