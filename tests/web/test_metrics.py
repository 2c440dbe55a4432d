"""Durations are counted as Prometheus' own library counts them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.parser import text_string_to_metric_families

from leadline.web.metrics import Durations, Metrics

BOUNDS = (0.001, 0.25, 1, 5)
durations = st.one_of(st.sampled_from(BOUNDS), st.floats(0, 10))


@given(st.lists(durations, max_size=20))
def test_durations_fall_into_the_same_buckets_as_in_the_library(seconds: list[float]) -> None:
    ours, theirs = Durations(BOUNDS), Histogram("d", "d", buckets=BOUNDS, registry=CollectorRegistry())
    for each in seconds:
        ours.add(each)
        theirs.observe(each)
    (family,) = theirs.collect()
    buckets = [(each.labels["le"], each.value) for each in family.samples if each.name == "d_bucket"]
    assert ours.buckets() == buckets
    assert ours.sum == sum(seconds)


def test_what_was_counted_is_told() -> None:
    metrics = Metrics()
    for status, seconds in ((200, 0.002), (200, 7.0), (409, 0.3)):
        metrics.request("apply_outcome", "POST", status, seconds)
    metrics.attempt(None)
    metrics.attempt("timeout")
    metrics.attempt("timeout")
    metrics.delivered(0.4)
    metrics.backlogs([("waits", 3, 5_000), ("is not due yet", 1, 9_000)], now_ms=8_000)
    told = {
        (each.name, frozenset(each.labels.items())): each.value
        for family in text_string_to_metric_families(metrics.text().decode())
        for each in family.samples
    }

    def value(name: str, **labels: str) -> float | None:
        return told.get((f"leadline_{name}", frozenset(labels.items())))

    assert value("http_requests_total", operation="apply_outcome", status="200") == 2
    assert value("http_requests_total", operation="apply_outcome", status="409") == 1
    assert value("http_request_seconds_count", operation="apply_outcome") == 3
    assert value("http_request_seconds_sum", operation="apply_outcome") == 7.302
    assert value("http_request_seconds_bucket", operation="apply_outcome", le="5.0") == 2
    assert value("deliveries_pending", workspace_id="waits") == 3
    assert value("deliveries_oldest_due_seconds", workspace_id="waits") == 3
    assert value("deliveries_oldest_due_seconds", workspace_id="is not due yet") == 0
    assert value("webhook_attempts_total", result="succeeded") == 1
    assert value("webhook_attempts_total", result="timeout") == 2
    assert value("delivery_seconds_bucket", le="0.25") == 0
    assert value("delivery_seconds_bucket", le="0.5") == 1
