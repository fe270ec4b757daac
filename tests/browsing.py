"""A real browser on the pages of a shop: another origin than ours, under a strict Content-Security-Policy."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

import pytest
from playwright.sync_api import Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
needs_chromium = pytest.mark.skipif(
    not os.path.exists(CHROMIUM) and not os.environ.get("CI"), reason="Chromium is not installed"
)
T = TypeVar("T")


class ShopSite:
    """A shop's web server. Every address is the page that `html` says; use it as a context manager."""

    def __init__(self) -> None:
        self.html = ""
        self.policy = ""
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = site.html.encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Security-Policy", site.policy)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_said: Any) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def put(self, api: str, key: str, *, before: str = "", **attributes: str) -> None:
        """Make the page one with the widget of `key`, served by `api`; `before` is a script that runs first."""
        more = "".join(f' data-{name}="{escape(value)}"' for name, value in attributes.items())
        self.html = (
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Shop</title>'
            '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,"></head>'
            f'<body><h1>Shop</h1><a href="#main">A link</a><script nonce="n1">{before}</script>'
            f'<script src="{api}/widget/v1/widget.js" data-key="{key}"{more}></script></body></html>'
        )
        self.policy = (
            f"default-src 'none'; script-src {api} 'nonce-n1'; connect-src {api}; img-src data:; base-uri 'none';"
            " form-action 'none'; require-trusted-types-for 'script'"
        )

    def __enter__(self) -> "ShopSite":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def in_browser(steps: Callable[[Page], T], **context: Any) -> T:
    """What `steps` returns, given a page of a fresh browser. Anything that the policy forbids there is an error.

    In a thread of its own: Playwright leaves an event loop behind in its thread, where Django sees another connection.
    """

    def run() -> T:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            opened = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **context})
            opened.set_default_timeout(10_000)
            page = opened.new_page()
            forbidden: list[str] = []
            page.on("console", lambda said: forbidden.append(said.text) if "Content Security" in said.text else None)
            page.on("pageerror", lambda error: forbidden.append(str(error)))
            result = steps(page)
            browser.close()
            assert forbidden == []
            return result

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(run).result()


def face(page: Page) -> str | None:
    """The face that the widget shows once it has its answer."""
    page.wait_for_selector("#porta-futuri-widget[data-face]:not([data-face=loading])")
    return page.locator("#porta-futuri-widget").get_attribute("data-face")


def text(page: Page) -> str:
    """What the widget says below its title."""
    return page.locator("#porta-futuri-widget .body").inner_text()
