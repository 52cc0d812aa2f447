"""A running Prometheus goes through the same transitions as ours on what it has read.

It scrapes a figure and evaluates rules once a second, by its own clock. What each evaluation saw it
writes down itself, by a recording rule that the alerts then read: ours are given just that.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import quote

from evaluators.alert_rules import AlertsConfig
from evaluators.alerts import Alerts
from stream.durations import format_duration_ms
from stream.notices import Moment
from stream.values import Reading
from tests.monitoring import answer, free_port, monitoring_program, running

EVERY_MS = 1_000
FIGURE = [0.75, 0.25, 0.25, 0.25, 0.75, 0.25, 0.75, 0.75, 0.75, 0.25, 0.25, 0.25, 0.25, 0.75, 0.5]
RULES = [
    {"name": "at_once", "kind": "below", "threshold": 0.5},
    {"name": "waits", "kind": "below", "threshold": 0.5, "for": "2s"},
    {"name": "keeps", "kind": "below", "threshold": 0.5, "keep_firing_for": "2s"},
    {"name": "both", "kind": "above", "threshold": 0.5, "for": "1s", "keep_firing_for": "1500ms"},
]


class Seen:
    def __init__(self, value: float) -> None:
        self._value = value

    def reading(self, metric: str, over: str, policy: str | None = None) -> Reading | None:
        return Reading(self._value, 1000.0)


def test_a_running_prometheus_goes_through_the_same_transitions(tmp_path):
    config = AlertsConfig.model_validate(
        {"evaluate_every": EVERY_MS, "rules": [{**rule, "metric": "novelty"} for rule in RULES]}
    )
    with exporting(FIGURE) as target:
        samples = watched(config, target, tmp_path)
    seen = dict(samples["seen"][""])
    offset_ms = min(seen) % EVERY_MS
    assert {at % EVERY_MS for at in seen} == {offset_ms}, "evaluations lie on a grid"
    theirs = {
        at: sorted(
            f"{name} {state}"
            for state in ("pending", "firing")
            for name, found in samples[state].items()
            if at in dict(found)
        )
        for at in seen
    }
    assert ours(config, seen, offset_ms) == theirs
    states = [state for step in theirs.values() for state in step]
    assert {"waits pending", "waits firing", "keeps firing", "both pending", "both firing"} <= {
        *states
    }
    assert any(not step for step in theirs.values())


def ours(config: AlertsConfig, seen: dict[int, float], offset_ms: int) -> dict[int, list[str]]:
    alerts = Alerts(config)
    alerts.step(Seen(0.0), Moment(-1, min(seen) - offset_ms - EVERY_MS, 0, {}))  # sets the clock
    found = {}
    for number, (at, value) in enumerate(seen.items()):
        alerts.step(Seen(value), Moment(number, at - offset_ms, number, {}))
        states = {name: state["state"] for name, state in alerts.states().items()}
        found[at] = sorted(f"{n} {state}" for n, state in states.items() if state != "inactive")
    return found


def watched(
    config: AlertsConfig, target: str, folder: object
) -> dict[str, dict[str, list[tuple[int, float]]]]:
    """What Prometheus writes down while the figure goes through its values, by rule."""
    port = free_port()
    settings = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yaml"],
        "scrape_configs": [{"job_name": "figure", "static_configs": [{"targets": [target]}]}],
    }
    alerts = [
        {
            "alert": rule.name,
            "expr": f"seen {'<' if rule.kind == 'below' else '>'} {rule.threshold}",
            "for": format_duration_ms(rule.for_.size),
            "keep_firing_for": format_duration_ms(rule.keep_firing_for.size),
        }
        for rule in config.rules
    ]
    # A scrape that fails on a busy machine is no gap: series are complete here.
    seen = {"record": "seen", "expr": "max(last_over_time(figure[5m]))"}
    rules = {"groups": [{"name": "all", "rules": [seen, *alerts]}]}
    (folder / "prometheus.yaml").write_text(json.dumps(settings))
    (folder / "rules.yaml").write_text(json.dumps(rules))
    address = f"http://127.0.0.1:{port}"
    flags = [
        f"--config.file={folder / 'prometheus.yaml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with running(monitoring_program("prometheus"), flags, f"{address}/-/ready"):
        deadline_s = time.monotonic() + 120
        while len(samples_of(address, "seen").get("", ())) < len(FIGURE) + 3:
            assert time.monotonic() < deadline_s, "Prometheus evaluates its rules"
            time.sleep(0.5)
        return {
            "seen": samples_of(address, "seen"),
            **{
                state: samples_of(address, f'ALERTS{{alertstate="{state}"}}')
                for state in ("pending", "firing")
            },
        }


def samples_of(address: str, query: str) -> dict[str, list[tuple[int, float]]]:
    """Every sample that Prometheus holds of some series, by the name of their alert."""
    found = answer(f"{address}/api/v1/query?query={quote(query + '[10m]')}")["data"]["result"]
    return {
        series["metric"].get("alertname", ""): [
            (round(at_s * 1000), float(value)) for at_s, value in series["values"]
        ]
        for series in found
    }


@contextmanager
def exporting(values: list[float]) -> Iterator[str]:
    """Serve a figure that takes its next value with every scrape, and at last keeps it."""
    left = iter(values)

    class Exporter(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = f"figure {next(left, values[-1])}\n".encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Exporter) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()
