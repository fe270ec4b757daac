"""/healthz, /readyz and /metrics: thin views on `cdp.pipeline.health`."""

import hmac
import ipaddress
from collections.abc import Iterable, Iterator

import msgspec
from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from cdp.core.clock import now_us
from cdp.pipeline.health import Check, Metric, metrics, readiness
from cdp.privacy.alerts import privacy_metrics
from cdp.privacy.restore import is_behind
from cdp.rest.errors import error_body
from config.request_id import turnaround


@never_cache
@require_safe
def alive(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 - a view's interface
    """200 as long as the process answers."""
    return _json(200, {"status": "ok"})


@never_cache
@require_safe
def ready(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 - a view's interface
    """200 when database, broker, lake and backlog are fit for more, and nobody who was erased is back; else 503."""
    checks = [*readiness(), *_erasures()]
    named = {check.name: check.problem or check.note for check in checks}
    missing = [f"{check.name}: {check.problem}" for check in checks if check.problem]
    if missing:
        return _json(503, error_body(503, "Not ready. " + "; ".join(missing), code="not_ready", details=named))
    return _json(200, {"status": "ready", "checks": named})


def _erasures() -> Iterator[Check]:
    """Says when the database was restored behind the back of a running process; silent when it does not answer."""
    try:
        if is_behind():
            problem = "the database is older than the journal of erasures: restart, and they are carried out again"
            yield Check("erasures", problem)
    except DatabaseError:
        return


@never_cache
@require_safe
def measures(request: HttpRequest) -> HttpResponse:
    """The metrics as Prometheus reads them: for this machine, or with `Authorization: Bearer <METRICS_TOKEN>`."""
    if not _may_measure(request):
        sentence = "Metrics are for this machine, or for who sends METRICS_TOKEN as a bearer token."
        return _json(403, error_body(403, sentence))
    try:
        text = exposition([*metrics(now_us()), *privacy_metrics(now_us()), *_requests()])
    except DatabaseError:
        return _json(503, error_body(503))
    return HttpResponse(text, content_type="text/plain; version=0.0.4; charset=utf-8")


def exposition(numbers: Iterable[Metric]) -> str:
    """The Prometheus text format, version 0.0.4."""
    lines = []
    for metric in numbers:
        lines += [f"# HELP {metric.name} {metric.help}", f"# TYPE {metric.name} {metric.kind}"]
        for values, number in metric.samples:
            pairs = ",".join(f'{label}="{_escaped(value)}"' for label, value in zip(metric.labels, values, strict=True))
            lines.append(f"{metric.name}{{{pairs}}} {number:.12g}" if pairs else f"{metric.name} {number:.12g}")
    return "\n".join(lines) + "\n"


def _requests() -> Iterator[Metric]:
    counts, seconds = [], []
    for status, (count, total) in turnaround().items():
        counts.append(((status,), float(count)))
        seconds.append(((status,), total))
    help_ = "Requests of API, console and health that this process answered"
    yield Metric("cdp_requests_total", "counter", f"{help_}.", tuple(counts), ("status",))
    yield Metric("cdp_request_seconds_total", "counter", f"{help_}: their seconds.", tuple(seconds), ("status",))


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _may_measure(request: HttpRequest) -> bool:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if settings.METRICS_TOKEN and scheme.lower() == "bearer":
        return hmac.compare_digest(token.strip().encode(), settings.METRICS_TOKEN.encode())
    # A proxy on this machine also comes from loopback; it says for whom it asks.
    if "X-Forwarded-For" in request.headers or "Forwarded" in request.headers:
        return False
    try:
        return ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False


def _json(status: int, body: object) -> HttpResponse:
    return HttpResponse(msgspec.json.encode(body), status=status, content_type="application/json")
