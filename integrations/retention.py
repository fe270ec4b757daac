"""The log of look-ups, for retention policies to decide about."""

from cdp.privacy.retention_logs import Log

LOOK_UPS = Log("look-ups", "Look-ups at other platforms", "integrations_requestlog", "at")
