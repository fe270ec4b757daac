"""The broker in a folder that needs no service: kombu's, but a message is there whole or not at all.

kombu opens a message's file under the name by which a reader finds it and fills it afterwards; a reader that comes
between finds nothing in it and ends the worker. Here it is written beside and renamed.
"""

import contextlib
import logging
import os
import time
import uuid
from pathlib import Path
from typing import Any

from kombu.exceptions import ChannelError
from kombu.transport import TRANSPORT_ALIASES, filesystem, virtual
from kombu.utils.json import dumps

SCHEME = "folder"
_log = logging.getLogger(__name__)


class Channel(filesystem.Channel):
    """Sends by rename, and passes over a file that is no message."""

    def _put(  # type: ignore[override]  # kombu's two declarations of it disagree
        self, queue: str, payload: dict[str, Any], **_options: Any
    ) -> None:
        """Put a message into `queue`. Raises ChannelError."""
        name = f"{round(time.monotonic() * 1000)}_{uuid.uuid4()}.{queue}"
        part = Path(self.data_folder_out) / f"{name}.part"
        try:
            part.write_bytes(dumps(payload).encode())
            part.rename(part.with_suffix(".msg"))
        except OSError as error:
            with contextlib.suppress(OSError):
                os.unlink(part)
            raise ChannelError(f"A message cannot be written to {self.data_folder_out}.") from error

    def _get(self, queue: str, timeout: float | None = None) -> Any:  # noqa: ARG002 - as kombu has it
        """The next message of `queue`. Raises kombu's Empty."""
        while True:
            try:
                return super()._get(queue)
            except ValueError:
                _log.warning("A file in %s is no message and is passed over.", self.data_folder_in)


class Transport(filesystem.Transport):
    """kombu's transport with the channel above, and a state of its own."""

    Channel = Channel
    global_state = virtual.BrokerState()


TRANSPORT_ALIASES[SCHEME] = f"{__name__}:Transport"
