"""Prometheus metrics of one server."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from llmctl_server.jobs import Run

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
TEXTS = (1, 2, 4, 8, 16, 32, 64)

disable_created_metrics()  # type: ignore[no-untyped-call]  # One more series beside every counter, which nobody reads.


class Metrics:
    """Counts what the server does. Children are looked up once: `labels()` is dearer than counting."""

    def __init__(self) -> None:
        """Make the metrics in a registry of their own."""
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._requests = Counter("llmctl_requests", "Requests answered", ["route", "status"], registry=registry)
        self._latency = Histogram(
            "llmctl_request_seconds",
            "Time from a request's head to its answer",
            ["route"],
            buckets=SECONDS,
            registry=registry,
        )
        self._queue = Histogram(
            "llmctl_queue_seconds", "Time until a worker took a request up", buckets=SECONDS, registry=registry
        )
        self._texts = Counter("llmctl_texts", "Texts classified", registry=registry)
        self._tokens = Counter("llmctl_tokens", "Tokens that the model read", registry=registry)
        self._padded = Counter("llmctl_padded_tokens", "Tokens that it computed, with padding", registry=registry)
        self._run = Histogram(
            "llmctl_run_seconds", "Time of one run of the model", buckets=SECONDS, registry=registry
        )
        self._batch = Histogram("llmctl_batch_texts", "Texts that shared a run", buckets=TEXTS, registry=registry)
        self._inline = Counter("llmctl_inline_runs", "Runs on the fast path of an idle server", registry=registry)
        self._log_dropped = Counter(
            "llmctl_request_log_dropped", "Rows that the request log gave up", registry=registry
        )
        self._load = Gauge("llmctl_model_load_seconds", "Time to load the model", registry=registry)
        self._model = Gauge(
            "llmctl_model_info",
            "The model that is served; always 1",
            ["model", "digest", "release", "replica"],
            registry=registry,
        )
        self._answered: dict[tuple[str, int], tuple[Counter, Histogram]] = {}

    def watch(
        self,
        *,
        in_flight: Callable[[], float],
        waiting: Callable[[], float],
        backlog: Callable[[], float],
        ready: Callable[[], float],
    ) -> None:
        """Name where the present values come from; they are asked for at each scrape."""
        for name, text, source in (
            ("llmctl_in_flight_requests", "Accepted requests without an answer", in_flight),
            ("llmctl_queue_texts", "Texts waiting for a worker", waiting),
            ("llmctl_backlog_seconds", "Estimate of the time until the waiting texts are done", backlog),
            ("llmctl_ready", "1 when new work is accepted", ready),
        ):
            Gauge(name, text, registry=self.registry).set_function(source)

    def loaded(self, seconds: float, *, model: str, digest: str, release: str, replica: str) -> None:
        """Record which model is served and how long it took to load."""
        self._load.set(seconds)
        self._model.labels(model, digest, release, replica).set(1)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count one answer."""
        children = self._answered.get((route, status))
        if children is None:
            children = (self._requests.labels(route, str(status)), self._latency.labels(route))
            self._answered[route, status] = children
        children[0].inc()
        children[1].observe(seconds)

    def queued(self, seconds: float) -> None:
        """Record how long one request waited."""
        self._queue.observe(seconds)

    def ran(self, run: Run) -> None:
        """Count one run of the model; from any thread."""
        self._texts.inc(run.texts)
        self._tokens.inc(run.tokens)
        self._padded.inc(run.padded)
        self._run.observe(run.seconds)
        self._batch.observe(run.texts)
        if run.inline:
            self._inline.inc()

    def log_dropped(self, rows: int) -> None:
        """Count rows that the request log gave up; from any thread."""
        self._log_dropped.inc(rows)

    def render(self) -> bytes:
        """The page that Prometheus scrapes."""
        return generate_latest(self.registry)
