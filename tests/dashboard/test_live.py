"""The live numbers, over a real WebSocket of a real web process."""

import json
from importlib import import_module

import pytest
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from cdp.access.models import User
from tests.live import WebServer
from tests.sending import deliver, message


def session_of(user: User) -> str:
    """The cookie of somebody who signed in."""
    session = import_module(settings.SESSION_ENGINE).SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    return f"{settings.SESSION_COOKIE_NAME}={session.session_key}"


def listen(web: WebServer, cookie: str, *, origin: str = "") -> ClientConnection:
    return connect(
        f"ws://127.0.0.1:{web.port}/ws/overview",
        origin=origin or web.url,  # type: ignore[arg-type]
        additional_headers={"Cookie": cookie},
    )


def test_numbers_come_and_follow(web: WebServer):
    cookie = session_of(User.objects.create_user("ada", is_staff=True))
    with listen(web, cookie) as socket:
        first = {card["label"]: card["value"] for card in json.loads(socket.recv(timeout=10))["cards"]}
        assert first["Waiting"] == "0"
        deliver(message(userId="1"))
        second = {card["label"]: card["value"] for card in json.loads(socket.recv(timeout=10))["cards"]}
        assert second["Waiting"] == "1"


@pytest.mark.parametrize(
    ("staff", "signed_in", "origin"),
    [(True, False, ""), (False, True, ""), (True, True, "https://evil.example"), (True, True, "null")],
)
def test_nobody_else_may_listen(web: WebServer, staff: bool, signed_in: bool, origin: str):
    cookie = session_of(User.objects.create_user("ada", is_staff=staff)) if signed_in else ""
    with pytest.raises((InvalidStatus, ConnectionClosed)), listen(web, cookie, origin=origin) as socket:
        socket.recv(timeout=10)


def test_there_is_no_other_socket(web: WebServer):
    with pytest.raises(InvalidStatus), connect(f"ws://127.0.0.1:{web.port}/ws/other") as socket:
        socket.recv(timeout=10)
