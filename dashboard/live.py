"""Live numbers of the overview over a WebSocket: read once a second while somebody looks, sent when they change."""

import asyncio
import logging
from typing import Any
from urllib.parse import urlsplit

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer

from cdp.core.clock import now_us
from dashboard.overview import cards, overview

_SECONDS = 1.0
_NOT_ALLOWED = 4403
_FAILED = 1011

log = logging.getLogger(__name__)


class LiveOverview(AsyncJsonWebsocketConsumer):
    """Sends `{"cards": [{"label", "value", "hint", "alarm"}]}` to staff who are signed in, from our own pages only."""

    _task: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        """Accept staff; close others with 4403."""
        user = self.scope["user"]
        if user is None or not (user.is_active and user.is_staff) or not self._from_our_own_page():
            await self.close(code=_NOT_ALLOWED)
            return
        await self.accept()
        self._task = asyncio.create_task(self._tell())

    async def disconnect(self, code: int) -> None:  # noqa: ARG002 - the name is the framework's
        """Stop reading."""
        if self._task is not None:
            self._task.cancel()

    def _from_our_own_page(self) -> bool:
        """A browser names the page's origin: another site may not listen with the visitor's cookie."""
        headers = dict(self.scope["headers"])
        origin = headers.get(b"origin", b"").decode("latin-1")
        return urlsplit(origin).netloc == headers.get(b"host", b"").decode("latin-1")

    async def _tell(self) -> None:
        told: Any = None
        try:
            while True:
                numbers = await database_sync_to_async(_numbers)()
                if numbers != told:
                    await self.send_json({"cards": numbers})
                    told = numbers
                await asyncio.sleep(_SECONDS)
        except Exception:  # the page goes on with what it has, and asks again later
            log.exception("The live numbers could not be read.")
            await self.close(code=_FAILED)


def _numbers() -> list[dict[str, Any]]:
    now = now_us()
    return [
        {"label": card.label, "value": card.value, "hint": card.hint, "alarm": card.alarm}
        for card in cards(overview(now), now=now)
    ]
