"""manage.py privacy: requests of people, erasure and its receipts, retention, holds."""

import pkgutil
from importlib import import_module
from types import ModuleType
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from cdp.core.errors import DomainError
from cdp.privacy import commands


class Command(BaseCommand):
    """One word of `cdp.privacy.commands` a call."""

    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        """A sub-parser for each word."""
        words = parser.add_subparsers(dest="word", required=True, metavar="WORD")
        for name, module in _words().items():
            text = (module.__doc__ or "").strip()
            module.arguments(words.add_parser(name, help=text.splitlines()[0], description=text))

    def handle(self, *_args: Any, word: str, **options: Any) -> None:
        """Do it; a refusal is a sentence, and the exit status 1."""
        try:
            _words()[word].run(options, self.stdout)
        except DomainError as error:
            raise CommandError(error.message) from error


def _words() -> dict[str, ModuleType]:
    found = sorted(module.name for module in pkgutil.iter_modules(commands.__path__))
    return {name: import_module(f"{commands.__name__}.{name}") for name in found}
