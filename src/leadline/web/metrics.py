"""Metrics of one process, in Prometheus' text format."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter as Tally
from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from leadline import __version__

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_DELIVERY_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 300, 3600, 36_000, 360_000)
WORKSPACES_MAX = 200


class Durations:
    """How many durations came to lie between these bounds (seconds, rising), and what they add up to."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.sum += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """For each bound as Prometheus writes it, how many were no longer."""
        so_far, buckets = 0, []
        for bound, count in zip([*self.bounds, float("inf")], self.counts, strict=True):
            so_far += count
            label: str = floatToGoString(bound)  # type: ignore[no-untyped-call]
            buckets.append((label, float(so_far)))
        return buckets


class _Counted(Collector):
    """What is counted for each request and each attempt: in the event loop alone, so that it needs no lock.

    The library's own counters and histograms take 2 to 3 µs for one request, most of it for locks and labels.
    """

    def __init__(self) -> None:
        self.requests: Tally[tuple[str, int]] = Tally()
        self.request_seconds: dict[str, Durations] = {}
        self.attempts: Tally[str] = Tally()
        self.delivery_seconds = Durations(_DELIVERY_SECONDS)

    def collect(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "leadline_http_requests", "Requests answered.", labels=["operation", "status"]
        )
        for (operation, status), count in self.requests.items():
            requests.add_metric([operation, str(status)], count)
        yield requests
        seconds = HistogramMetricFamily(
            "leadline_http_request_seconds", "Time from head to answer.", labels=["operation"]
        )
        for operation, durations in self.request_seconds.items():
            seconds.add_metric([operation], durations.buckets(), durations.sum)
        yield seconds
        attempts = CounterMetricFamily(
            "leadline_webhook_attempts", "Webhook attempts by result.", labels=["result"]
        )
        for result, count in self.attempts.items():
            attempts.add_metric([result], count)
        yield attempts
        yield HistogramMetricFamily(
            "leadline_delivery_seconds",
            "From applying an outcome to the receiver's success.",
            buckets=self.delivery_seconds.buckets(),
            sum_value=self.delivery_seconds.sum,
        )


class Metrics:
    """Counters of requests and attempts, and gauges that are read when they are asked for."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._counted = _Counted()
        self.registry.register(self._counted)
        # Processor, memory, open files and start of this process; on Linux only, elsewhere it tells nothing.
        ProcessCollector(registry=self.registry)
        info = Gauge("leadline_info", "Which version this is; always 1.", ["version"], registry=self.registry)
        info.labels(__version__).set(1)
        self.lease_takeovers = Counter(
            "leadline_lease_takeovers", "Attempts begun by a worker that died.", registry=self.registry
        )
        self.left_alone = Gauge(
            "leadline_workspaces_left_alone",
            "Workspaces in which nothing can be claimed, which is tried again within a minute.",
            registry=self.registry,
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
        self._counted.requests[operation, status] += 1
        durations = self._counted.request_seconds.get(operation)
        if durations is None:
            durations = self._counted.request_seconds[operation] = Durations(_SECONDS)
        durations.add(seconds)

    def attempt(self, error: str | None) -> None:
        """Count one webhook attempt; `error` is its class, None a success."""
        self._counted.attempts[error or "succeeded"] += 1

    def delivered(self, seconds: float) -> None:
        """Count a success, so long after its outcome was applied."""
        self._counted.delivery_seconds.add(seconds)

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
