"""The report in a real browser: drawn, quiet, narrow enough, and dark where it should be."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from stream.comparison_report import write_comparison
from stream.report import write_report
from tests.stream.comparing.comparisons import small_record
from tests.stream.reporting.chromium import Browser, chromium, find_chromium
from tests.stream.reporting.rich_run import write_rich_run

SHOTS = os.environ.get("FRESHRANK_SHOTS")
# Which plots are drawn: each has a line or a bar in it.
DRAWN = """[...document.querySelectorAll(".plot")].map(box => [
    box.id,
    box.querySelectorAll("svg.main-svg").length > 0,
    box.querySelectorAll(".scatterlayer .trace path, .barlayer .point path").length > 0,
])"""
PLOTS = [
    "alert-recall_low",
    "alert-ctr_drop",
    "recall",
    "difference",
    "ctr",
    "log_loss",
    "normalized_entropy",
]
PLOTS += ["reliability", "calibration_ratio", "ece", "recall_by_slice", "ctr_by_slice"]
PLOTS += ["coverage", "gini", "diversity", "novelty", "personalization", "exposure_gap", "exposure"]
PLOTS += ["interest_shift", "movers", "like_share", "mean_rating", "mean_dwell"]
PLOTS += ["revenue_per_mille", "revenue_per_click", "active_users_day", "active_users_week"]
PLOTS += ["flow", "stages"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = find_chromium()
    if program is None:
        told = "no chromium was found; install it: apt-get install -y chromium"
        if os.environ.get("CI") == "true":
            pytest.fail(told)
        pytest.skip(told)
    with chromium(program) as found:
        yield found


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with something of everything, hostile names included."""
    run = write_rich_run(tmp_path_factory.mktemp("rich") / "run", n_records=144)
    return write_report(run, run / "truth.jsonl")


@pytest.fixture(scope="module")
def meagre(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of a run that has written one record and the half of another."""
    run = write_rich_run(tmp_path_factory.mktemp("meagre") / "run", n_records=2)
    raw = (run / "metrics.jsonl").read_bytes()
    for path in run.iterdir():
        path.unlink()
    (run / "metrics.jsonl").write_bytes(raw[: raw.index(b"\n") + 50])
    return write_report(run)


@pytest.mark.parametrize("is_dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [375, 1280])
def test_every_plot_is_drawn_and_nothing_is_complained_of_or_fetched(browser, rich, width, is_dark):
    browser.open(rich, width, is_dark=is_dark)
    assert browser.evaluate(DRAWN) == [[f"plot-{name}", True, True] for name in PLOTS]
    assert browser.problems == []
    assert browser.requests == [rich.as_uri()]
    keep_shot(browser, f"{width}-{'dark' if is_dark else 'light'}")


@pytest.mark.parametrize("width", [320, 375, 768])
def test_the_page_is_no_wider_than_the_window(browser, rich, width):
    browser.open(rich, width)
    widths = browser.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert widths == [width, width]


def test_no_plot_is_wider_than_its_place(browser, rich):
    browser.open(rich, 375)
    wider = """[...document.querySelectorAll(".plot")].filter(
        box => box.querySelector("svg").getBoundingClientRect().width > box.clientWidth + 1
    ).map(box => box.id)"""
    assert browser.evaluate(wider) == []


def test_page_and_plots_follow_the_scheme_when_it_changes(browser, rich):
    colours = """[
        getComputedStyle(document.body).backgroundColor,
        document.querySelector("#plot-recall .main-svg").style.background,
        document.querySelector("#plot-recall .scatterlayer path.js-line").style.stroke,
    ]"""
    browser.open(rich)
    light = browser.evaluate(colours)
    browser.set_scheme(is_dark=True)
    browser.settle()
    dark = browser.evaluate(colours)
    assert light[:2] == ["rgb(246, 247, 249)", "rgb(255, 255, 255)"]
    assert dark[:2] == ["rgb(16, 19, 23)", "rgb(24, 28, 33)"]
    assert light[2] != dark[2]
    assert browser.problems == []


def test_another_window_shows_other_lines_and_values(browser, rich):
    drawn = """[
        document.querySelector("#plot-recall path.js-line").getAttribute("d"),
        [...document.querySelectorAll("[data-plot=plot-recall] .value")]
            .filter(value => value.checkVisibility()).map(value => value.dataset.window),
    ]"""
    browser.open(rich)
    before = browser.evaluate(drawn)
    browser.evaluate("document.querySelector('input[value=total]').click()")
    browser.settle()
    after = browser.evaluate(drawn)
    assert (before[1], after[1]) == (["events"] * 4, ["total"] * 4)
    assert before[0] != after[0]


def test_a_legend_s_button_hides_its_line_and_shows_it_again(browser, rich):
    count = "document.querySelectorAll('#plot-recall path.js-line').length"
    press = "document.querySelector('[data-plot=plot-recall]').click()"
    browser.open(rich)
    counts = [browser.evaluate(count)]
    for _ in range(2):
        browser.evaluate(press)
        browser.settle()
        counts.append(browser.evaluate(count))
    assert counts == [4, 3, 4]


def test_a_resized_window_redraws_the_plots(browser, rich):
    label = "document.querySelector('#plot-recall .annotation-text').textContent"
    browser.open(rich, 1280)
    wide = browser.evaluate(label)
    browser.resize(375, 900)
    browser.settle()
    assert (wide, browser.evaluate(label)) == ("D1 taste shift (50 %)", "D1")
    widths = browser.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert widths == [375, 375]


def test_it_can_be_printed_from_a_dark_screen(browser, rich):
    browser.open(rich, is_dark=True)
    assert browser.pdf().startswith(b"%PDF")
    browser.settle()
    assert browser.evaluate("'printing' in document.documentElement.dataset") is False
    assert browser.problems == []


def test_every_plot_and_button_has_a_name_for_screen_readers(browser, rich):
    browser.open(rich)
    nodes = browser.send("Accessibility.getFullAXTree")["nodes"]
    nameless = [
        node["role"]["value"]
        for node in nodes
        if not node.get("ignored")
        and node["role"]["value"] in ("image", "button", "radio", "link", "figure", "region")
        and not node.get("name", {}).get("value")
    ]
    images = [node for node in nodes if node.get("role", {}).get("value") == "image"]
    assert nameless == []
    assert len(images) == len(PLOTS)


def test_a_run_that_has_only_begun_has_a_quiet_page(browser, meagre):
    browser.open(meagre, 375)
    drawn = browser.evaluate(DRAWN)
    assert [name for name, *_ in drawn] == [f"plot-{name}" for name in PLOTS[2:-2]]
    assert all(has_svg and has_line for _, has_svg, has_line in drawn)
    assert browser.problems == []


@pytest.mark.parametrize("width", [375, 1280])
def test_the_contents_stay_in_sight(browser, rich, width):
    browser.open(rich, width, height=800)
    browser.evaluate("document.getElementById('business').scrollIntoView({behavior: 'instant'})")
    browser.settle()
    inside = """(() => {
        const nav = document.querySelector("nav").getBoundingClientRect();
        const title = document.querySelector("#business h2").getBoundingClientRect();
        const isCovered = title.top < nav.bottom && title.left < nav.right;
        return [nav.top >= 0, nav.bottom <= innerHeight, isCovered, scrollY > 1000];
    })()"""
    assert browser.evaluate(inside) == [True, True, False, True]


@pytest.mark.parametrize("is_dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [375, 1280])
def test_a_comparison_is_drawn_quiet_and_no_wider_than_the_window(
    browser, tmp_path, width, is_dark
):
    page = write_comparison(small_record(), tmp_path / "compare.html")
    browser.open(page, width, is_dark=is_dark)
    names = ["recall@20", "recall@20-difference", "log_loss", "log_loss-difference"]
    assert browser.evaluate(DRAWN) == [[f"plot-{name}", True, True] for name in names]
    assert browser.evaluate("document.documentElement.scrollWidth") == width
    assert browser.problems == []
    assert browser.requests == [page.as_uri()]
    keep_shot(browser, f"compare-{width}-{'dark' if is_dark else 'light'}")


def keep_shot(browser: Browser, name: str) -> None:
    """Keep what was seen where somebody asked for it."""
    if SHOTS:
        Path(SHOTS).mkdir(parents=True, exist_ok=True)
        browser.screenshot(Path(SHOTS) / f"report-{name}.png")
