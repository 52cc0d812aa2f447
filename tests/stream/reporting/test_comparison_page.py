from html.parser import HTMLParser

import pytest

from stream.reporting.comparison_page import comparison_page
from tests.stream.comparing.comparisons import small_record


class _Text(HTMLParser):
    """The text of a page, scripts and styles aside."""

    def __init__(self):
        super().__init__()
        self.parts = []
        self.ids = []
        self._skipped = 0

    def handle_starttag(self, tag, attrs):
        self._skipped += tag in ("script", "style")
        self.ids += [value for name, value in attrs if name == "id"]

    def handle_endtag(self, tag):
        self._skipped -= tag in ("script", "style")

    def handle_data(self, data):
        if not self._skipped:
            self.parts.append(data)


def read(**changes):
    parser = _Text()
    parser.feed(comparison_page(small_record(**changes), "1.2.3"))
    return " ".join(" ".join(parser.parts).split()), parser.ids


def test_it_leads_with_the_verdict():
    text, ids = read()
    assert "verdict by recall@20 B better" in text
    assert "B less A +0.0400 95 %: +0.0200 to +0.0600" in text
    assert "speed of B 0.50 x" in text
    assert {"verdict", "over-time", "cost", "settings"} <= set(ids)


def test_every_plot_of_what_was_judged_is_there():
    _, ids = read()
    plots = [name for name in ids if name.startswith("plot-") and not name.endswith("-title")]
    assert plots == [
        "plot-recall@20",
        "plot-recall@20-difference",
        "plot-log_loss",
        "plot-log_loss-difference",
    ]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"is_stopped": True}, "Stopped early: this is of the first 12,000 events."),
        ({"settings": []}, "A and B have the same settings."),
        ({"unpaired": 1234}, "1,234 samples are judged by one side alone"),
        ({"seeds": [0, 7]}, "recall@20 by seed seed B less A"),
        ({"metrics": {}, "stretches": {}, "others": {}}, "No click was judged"),
    ],
)
def test_what_should_be_known_is_said(changes, told):
    assert told in read(**changes)[0]


def test_the_interval_by_user_stands_below_the_other():
    record = small_record()
    record["metrics"]["recall@20"]["interval_by_user"] = [0.01, 0.07]
    assert "+0.0200 to +0.0600 by user +0.0100 to +0.0700" in read(metrics=record["metrics"])[0]


def test_names_from_outside_stay_text():
    hostile = "</script><script>alert(1)</script>"
    html = comparison_page(
        small_record(
            a={"name": hostile, "champion": hostile},
            settings=[{"key": hostile, "a": hostile, "b": None}],
        ),
        "1.2.3",
    )
    assert "<script>alert" not in html
    assert "unset" in html
