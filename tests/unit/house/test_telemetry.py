"""The page on telemetry names what there is: every metric and variable in the code, and none that isn't."""

import logging
import re
from pathlib import Path

import pytest

from outlast.telemetry.once import Once
from outlast.telemetry.switches import (
    TelemetryError,
    address_of,
    content_captured,
    metrics_wanted,
    over_grpc,
    traces_wanted,
)

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "telemetry.md").read_text()
CODE = "\n".join(path.read_text() for folder in ("outlast",) for path in sorted((ROOT / folder).rglob("*.py")))


def test_every_metric_is_listed_with_its_kind() -> None:
    made = set(re.findall(r"(?:count|_count|create_\w+)\(\s*\"(agent_\w+)\"", CODE))
    listed = dict(re.findall(r"^\| `(agent_\w+)` \| (\w+)", PAGE, re.MULTILINE))
    assert made == set(listed)
    for name, kind in listed.items():
        shown = "count" if kind == "counter" else kind
        assert re.search(rf"(create_)?{shown}\w*\(\s*\"{name}\"", CODE), name


def test_every_attribute_of_ours_is_listed() -> None:
    made = set(re.findall(r"\"(agent\.[a-z_.]+)\"", CODE))
    listed = PAGE.replace(
        "`.output`, `.cache_read`, `.cache_write`", " ".join(f"agent.tokens.{tier}" for tier in TIERS)
    )
    assert [name for name in sorted(made) if name not in listed] == []


TIERS = ("output", "cache_read", "cache_write")


def test_the_switches_mean_what_the_page_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TRACES_ENDPOINT", "METRICS_ENDPOINT", "PROTOCOL", "METRICS_PROTOCOL"):
        monkeypatch.delenv(f"OTEL_EXPORTER_OTLP_{name}", raising=False)
    at = "http://h:4318"
    assert (traces_wanted(None), metrics_wanted(None), traces_wanted(at)) == (False, False, True)
    assert address_of("METRICS", f"{at}/") == f"{at}/v1/metrics"
    assert (over_grpc("METRICS", at), over_grpc("METRICS", "http://h:4317")) == (False, True)
    with pytest.raises(TelemetryError, match="OTEL_EXPORTER_OTLP_ENDPOINT=http://h:port"):
        over_grpc("TRACES", "http://h:port")

    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    assert (traces_wanted(at), metrics_wanted(at)) == (False, True)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://m/in")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "grpc")
    assert (metrics_wanted(None), address_of("METRICS", at), over_grpc("METRICS", at)) == (True, "http://m/in", True)
    monkeypatch.setenv("OTEL_SDK_DISABLED", "True")
    assert metrics_wanted(at) is False

    assert content_captured() is False
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true")
    assert content_captured() is True


def test_the_same_complaint_is_told_once() -> None:
    once = Once()
    said = ["export failed: refused", "export failed: timed out", "another thing"]
    told = [once.filter(logging.LogRecord("x", logging.WARNING, "", 0, each, (), None)) for each in said]
    assert told == [True, False, True]
