from stream.reporting.figure_blocks import figure_block, mark_key, window_choice, window_labels
from stream.reporting.marks import Mark
from stream.reporting.plots import Entry, Plot
from tests.stream.reporting.runs_in_memory import run_of

ENTRY = Entry("a&b", "<shadow>", "var(--c1)", "dash", {"events": "0.5", "total": "0.4"})
PLOT = Plot("plot-x", "A title", 'what it "says"', "A caption", [], {}, [ENTRY])


def test_a_plot_says_what_it_shows_to_those_who_cannot_see_it():
    html = figure_block(PLOT).text
    assert 'role="img" aria-label="what it &quot;says&quot;"' in html
    assert "<noscript>what it &quot;says&quot;</noscript>" in html
    assert '<h3 id="plot-x-title">A title</h3>' in html


def test_a_legend_has_a_button_for_each_line_with_its_value_over_each_window():
    html = figure_block(PLOT).text
    assert 'aria-pressed="true" data-plot="plot-x" data-key="a&amp;b"' in html
    assert '<i class="key dash" style="border-color:var(--c1)"></i>&lt;shadow&gt;' in html
    assert '<span class="value" data-window="total">0.4</span>' in html


def test_a_value_that_all_windows_share_is_always_shown():
    plot = Plot("p", "t", "x", "c", [], {}, [Entry("k", "l", "var(--c1)", value_of={"": "7"})])
    assert '<span class="value">7</span>' in figure_block(plot).text


def test_windows_are_called_what_they_are():
    labels = window_labels(run_of([], summary={}))
    assert list(labels.values()) == ["last 500 samples", "last 6h", "since start"]


def test_windows_of_unknown_length_are_still_told_apart():
    labels = window_labels(run_of([], summary={}, settings={}))
    assert len(set(labels.values())) == 3


def test_the_first_window_is_chosen():
    html = window_choice(["time", "total"], run_of([], summary={})).text
    assert html.count("checked") == 1
    assert 'value="time" checked' in html


def test_one_window_is_no_choice():
    assert window_choice(["total"], run_of([], summary={})) is None


def test_the_key_names_every_mark_and_only_the_shades_that_there_are():
    html = mark_key([Mark("A1", "alert", "<rule>", 0, 7_200_000, 3_600_000)]).text
    assert '<b class="alert">A1</b> &lt;rule&gt;<small>alert, 1970-01-01 01:00, 1 h</small>' in html
    assert "swatch pending" in html
    assert "swatch firing" in html
    assert "swatch drift" not in html


def test_without_marks_there_is_no_key():
    assert mark_key([]) is None
