"""`manage.py serve`: the web server and the worker, with one command."""

import os
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    """Becomes the supervisor (`config.supervisor`), which imports no Django."""

    help = "Serve on HOST and PORT: web server and worker, supervised. Ctrl-C stops both."
    requires_system_checks = ()

    def handle(self, **_options: Any) -> None:
        """Never returns: this process becomes the supervisor."""
        os.environ["DATA_DIR"] = str(settings.DATA_DIR)
        os.chdir(settings.BASE_DIR)
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, "-m", "config.supervisor"])  # noqa: S606
