"""Who holds a lease: machine, process and a random part; and whether that process still lives."""

import os
import socket
import uuid

_MACHINE = socket.gethostname()[:30]


def holder_name() -> str:
    """A name for something that works in this process, different at every call."""
    return f"{_MACHINE}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


def is_gone(holder: str) -> bool:
    """Whether `holder` names a process of this machine that does not run any more."""
    machine, _, rest = holder.rpartition(":")[0].rpartition(":")
    if machine != _MACHINE or not rest.isdigit():
        return False
    try:
        os.kill(int(rest), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
