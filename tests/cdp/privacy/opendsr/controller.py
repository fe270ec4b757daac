"""A data controller that sends requests by OpenDSR, verifies every answer with the published certificate, and listens
for callbacks, of which it takes only those that are signed; it behaves badly when it is told to."""

import base64
import json
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from django.test import Client

from cdp.access.keys import add_api_key


def verified(pem: bytes, body: bytes, headers: Any, *, name: str = "OpenDSR") -> Any:
    """The JSON of a body whose signature is right; an error when it is not."""
    certificate = x509.load_pem_x509_certificate(pem)
    signature = base64.b64decode(headers[f"X-{name}-Signature"], validate=True)
    certificate.public_key().verify(signature, body, padding.PKCS1v15(), hashes.SHA256())  # type: ignore[call-arg, union-attr]
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert headers[f"X-{name}-Processor-Domain"] in names.get_values_for_type(x509.DNSName)
    return json.loads(body)


class Controller:
    """Listens on a free port of 127.0.0.1. `told` has the callbacks it took, `refused` how many it did not."""

    def __init__(self) -> None:
        _, key = add_api_key("controller", ["admin"], rate_limit=0)
        self.headers = {"Authorization": f"Bearer {key}"}
        self.client = Client()
        self.told: list[dict[str, Any]] = []
        self.refused = 0
        self.fault = ""
        self.stopped = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.controller = self  # type: ignore[attr-defined]
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/told"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        discovery = self.client.get("/opendsr/v3/discovery")
        address = urlsplit(discovery.json()["processor_certificate"]).path
        self.pem = self.client.get(address).content
        self.discovery = verified(self.pem, discovery.content, discovery.headers)

    def asks(self, kind: str, *identities: tuple[str, ...], version: int = 3, **changes: Any) -> tuple[int, Any]:
        """Send a request; `changes` replace or add fields, None removes one."""
        body = {
            "regulation": "gdpr",
            "subject_request_id": str(uuid.uuid4()),
            "subject_request_type": kind,
            "submitted_time": "2026-01-31T12:00:00Z",
            "subject_identities": [
                {"identity_type": one[0], "identity_value": one[1], "identity_format": (*one, "raw")[2]}
                for one in identities
            ],
            "api_version": f"{version}.0",
            "status_callback_urls": [self.url],
            **changes,
        }
        sent = {name: value for name, value in body.items() if value is not None}
        return self.call("POST", "requests", sent, version=version)

    def call(self, method: str, path: str, body: Any = None, *, version: int = 3) -> tuple[int, Any]:
        """Any call; an answer of 2xx must be signed."""
        data = b"" if body is None else json.dumps(body).encode()
        answer = self.client.generic(
            method, f"/opendsr/v{version}/{path}", data, content_type="application/json", headers=self.headers
        )
        if answer.status_code >= 300:
            return answer.status_code, answer.json()
        name = "OpenGDPR" if version == 1 else "OpenDSR"
        return answer.status_code, verified(self.pem, answer.content, answer.headers, name=name)

    def state(self, request_id: str) -> str:
        """How far a request is."""
        status, answer = self.call("GET", f"requests/{request_id}")
        assert status == 200
        return str(answer["request_status"])

    def __enter__(self) -> "Controller":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopped.set()
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        controller: Controller = self.server.controller  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = 202
        if controller.fault == "slow":
            controller.stopped.wait(30)
            return
        if controller.fault:
            status = {"500": 500, "redirect": 302}[controller.fault]
            controller.refused += 1
        else:
            try:
                said = verified(controller.pem, body, self.headers)
                assert said["status_callback_url"] == controller.url
                controller.told.append(said)
            except Exception:  # whatever is wrong with it
                controller.refused += 1
                status = 401
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "http://169.254.169.254/latest/meta-data/")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""
