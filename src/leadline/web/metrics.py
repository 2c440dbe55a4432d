"""Metrics of one process, in Prometheus' text format."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """Counters of requests and attempts, and gauges that are read when they are asked for."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
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
        self.deliveries_pending = Gauge(
            "leadline_deliveries_pending", "Deliveries that are not finished.", registry=self.registry
        )
        self.oldest_due_seconds = Gauge(
            "leadline_deliveries_oldest_due_seconds",
            "How long the oldest due delivery has waited.",
            registry=self.registry,
        )
        self.streams = Gauge("leadline_event_streams", "Open event streams.", registry=self.registry)

    def request(self, operation: str, _method: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        self._requests.labels(operation, str(status)).inc()
        self._seconds.labels(operation).observe(seconds)

    def attempt(self, error: str | None) -> None:
        """Count one webhook attempt; `error` is its class, None a success."""
        self._attempts.labels(error or "succeeded").inc()

    def text(self) -> bytes:
        """Everything, in the text format 0.0.4."""
        return generate_latest(self.registry)
