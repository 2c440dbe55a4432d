"""Metrics of one process, in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from leadline import __version__

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_DELIVERY_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 300, 3600, 36_000, 360_000)
WORKSPACES_MAX = 200


class Metrics:
    """Counters of requests and attempts, and gauges that are read when they are asked for."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._known: dict[tuple[str, int], tuple[Counter, Histogram]] = {}
        self._known_results: dict[str | None, Counter] = {}
        # Processor, memory, open files and start of this process; on Linux only, elsewhere it tells nothing.
        ProcessCollector(registry=self.registry)
        info = Gauge("leadline_info", "Which version this is; always 1.", ["version"], registry=self.registry)
        info.labels(__version__).set(1)
        self._requests = Counter(
            "leadline_http_requests", "Requests answered.", ["operation", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "leadline_http_request_seconds",
            "Time from head to answer.",
            ["operation"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._attempts = Counter(
            "leadline_webhook_attempts", "Webhook attempts by result.", ["result"], registry=self.registry
        )
        self.delivery_seconds = Histogram(
            "leadline_delivery_seconds",
            "From applying an outcome to the receiver's success.",
            buckets=_DELIVERY_SECONDS,
            registry=self.registry,
        )
        self.lease_takeovers = Counter(
            "leadline_lease_takeovers", "Attempts begun by a worker that died.", registry=self.registry
        )
        self._pending = Gauge(
            "leadline_deliveries_pending",
            "Deliveries that are not finished.",
            ["workspace_id"],
            registry=self.registry,
        )
        self._oldest_due = Gauge(
            "leadline_deliveries_oldest_due_seconds",
            "How long the oldest due delivery has waited.",
            ["workspace_id"],
            registry=self.registry,
        )
        self.drift = Gauge(
            "leadline_deliveries_drift",
            "Deliveries promised by outcomes applied in the last day that are not there; looked at every five minutes.",
            registry=self.registry,
        )
        self.streams = Gauge("leadline_event_streams", "Open event streams.", registry=self.registry)

    def request(self, operation: str, _method: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        known = self._known.get((operation, status))
        if known is None:
            # As many as there are operations and statuses. Looking the labels up costs more than counting.
            known = (self._requests.labels(operation, str(status)), self._seconds.labels(operation))
            self._known[operation, status] = known
        known[0].inc()
        known[1].observe(seconds)

    def attempt(self, error: str | None) -> None:
        """Count one webhook attempt; `error` is its class, None a success."""
        known = self._known_results.get(error)
        if known is None:
            known = self._known_results[error] = self._attempts.labels(error or "succeeded")
        known.inc()

    def backlogs(self, backlogs: Sequence[tuple[str, int, int]], now_ms: int) -> None:
        """What waits: (workspace_id, pending, first due in Unix ms). The longest of them, so that it stays bounded."""
        self._pending.clear()
        self._oldest_due.clear()
        for workspace_id, pending, due_at in sorted(backlogs, key=lambda each: -each[1])[:WORKSPACES_MAX]:
            self._pending.labels(workspace_id).set(pending)
            self._oldest_due.labels(workspace_id).set(max(0, now_ms - due_at) / 1000)

    def text(self) -> bytes:
        """Everything, in the text format 0.0.4."""
        return generate_latest(self.registry)
