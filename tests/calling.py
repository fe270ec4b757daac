"""Calling the API in tests, as a client with a key does."""

from collections.abc import Sequence
from typing import Any

import msgspec
from django.test import Client

from cdp.access.keys import add_api_key

BASE = "/api/v1/cdp/"


class Api:
    """A client with one API key. Every call returns (status, decoded JSON, the text of a file, or None)."""

    def __init__(self, *scopes: str, name: str = "", rate_limit: int = 0, sees: Sequence[str] | None = None) -> None:
        self.row, self.key = add_api_key(name or "-".join(scopes), scopes, rate_limit=rate_limit, sees=sees)
        self.client = Client()
        self.headers: Any = None

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """`path` is below BASE, or absolute with a slash at its start."""
        address = path if path.startswith("/") else BASE + path
        data = body if isinstance(body, bytes) else b"" if body is None else msgspec.json.encode(body)
        sent = {"Authorization": f"Bearer {self.key}", **headers}
        answer = self.client.generic(method, address, data, content_type="application/json", headers=sent)
        self.headers = answer.headers
        sent_back = answer.getvalue()
        if not answer.headers.get("Content-Type", "").startswith("application/json"):
            return answer.status_code, sent_back.decode() or None
        return answer.status_code, msgspec.json.decode(sent_back) if sent_back else None

    def get(self, path: str) -> tuple[int, Any]:
        """GET."""
        return self.call("GET", path)

    def post(self, path: str, body: Any = None) -> tuple[int, Any]:
        """POST."""
        return self.call("POST", path, body)

    def put(self, path: str, body: Any) -> tuple[int, Any]:
        """PUT."""
        return self.call("PUT", path, body)

    def delete(self, path: str) -> tuple[int, Any]:
        """DELETE."""
        return self.call("DELETE", path)


def without(body: dict[str, Any], *names: str) -> dict[str, Any]:
    """`body` without the fields that differ at every run."""
    return {name: value for name, value in body.items() if name not in names}


def ids(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The ids of a list."""
    return [row["id"] for row in rows]
