import io

from rich.console import Console

from stream.comparing.tables import (
    cost_table,
    differences_table,
    drift_lines,
    others_table,
    seeds_table,
    settings_table,
    turned_text,
)
from tests.stream.comparing.comparisons import small_record


def printed(table, width=80):
    console = Console(file=io.StringIO(), width=width)
    console.print(table)
    return console.file.getvalue()


def test_each_figure_has_both_values_its_interval_and_a_verdict():
    text = printed(differences_table(small_record()))
    assert "5,000 clicks" in text
    [recall] = [line for line in text.splitlines() if line.startswith("recall@20")]
    assert recall.split() == [
        *("recall@20", "0.3000", "0.3400", "+0.0400", "[+0.0200,", "+0.0600]", "B", "better"),
    ]
    [loss] = [line for line in text.splitlines() if line.startswith("log_loss")]
    assert loss.split()[-2:] == ["A", "better"]
    [first] = [line for line in text.splitlines() if line.startswith("recall@1 ")]
    assert first.split()[-4:] == ["none", "yet", "120", "k"]


def test_figures_of_one_place_that_say_the_same_are_told_once():
    text = printed(differences_table(small_record()))
    assert "recall@1 " in text
    assert "mrr@1 " not in text


def test_it_fits_a_terminal_of_eighty_columns():
    assert "…" not in printed(differences_table(small_record()))


def test_nothing_judged_is_no_table():
    nothing = small_record(metrics={}, others={}, stretches={})
    assert differences_table(nothing) is None
    assert others_table(nothing) is None
    assert drift_lines(nothing) == []


def test_settings_that_differ_are_listed_and_many_are_cut():
    assert settings_table(small_record(settings=[])) is None
    assert "item_knn" in printed(settings_table(small_record()))
    many = [{"key": f"k{n}", "a": None, "b": "[red]" + "x" * 99} for n in range(30)]
    text = printed(settings_table(small_record(settings=many)), width=120)
    assert "and 10 more" in text
    assert "unset" in text
    assert "[red]" in text


def test_seeds_are_told_where_there_are_several():
    assert seeds_table(small_record()) is None
    assert seeds_table(small_record(seeds=[4])) is None
    text = printed(seeds_table(small_record(seeds=[4, 5])))
    assert [line.split()[0] for line in text.splitlines()[-2:]] == ["4", "5"]


def test_the_halves_and_a_curve_tell_how_the_difference_went():
    first, second, curve = drift_lines(small_record())
    assert first.startswith("recall@20, B less A in the first half: +0.0400 [-0.1000, +0.1000]")
    assert "second half" in second
    assert "2024-01-01 00:00 to 2024-01-01 02:00" in curve
    assert curve.endswith("▅▆█ from -0.100 to +0.100")


def test_the_interval_by_user_is_told_where_it_is_known():
    record = small_record()
    record["metrics"]["recall@20"]["interval_by_user"] = [0.01, 0.07]
    told = "for other users of the same kind: [+0.0100, +0.0700], at one look"
    assert told in drift_lines(record)


def test_a_difference_that_turned_is_warned_of():
    figure = small_record()["metrics"]["recall@20"]
    assert turned_text(figure) is None
    halves = [
        half | {"better": better} for half, better in zip(figure["halves"], "ab", strict=True)
    ]
    assert turned_text(figure | {"halves": halves}).startswith(
        "A was better in the first half and B in the second"
    )


def test_the_cost_of_each_side_has_its_rates_and_its_state():
    text = printed(cost_table(small_record()))
    assert "A: item_knn     3,000                    4,000  2.0 MB" in text
    assert "B: blend        1,500" in text


def test_other_figures_have_a_difference_alone():
    assert "auc     0.7000  0.7100   +0.0100" in printed(others_table(small_record()))
