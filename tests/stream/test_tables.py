import io
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console

from stream.tables import facts_table, ranking_table, size_text, sparkline


def shown(renderable, width=80):
    written = io.StringIO()
    Console(file=written, width=width).print(renderable)
    return written.getvalue()


def figures(value, difference=None):
    """The three figures at 10 and 20, all with one value, and the window a tenth above."""
    found = {}
    for figure in ("recall", "mrr", "ndcg"):
        for k in (10, 20):
            found[f"{figure}@{k}"] = {
                "total": value,
                "events": value + 0.1,
                "samples": {"total": 50_000, "events": 10_000},
            }
            if difference is not None:
                found[f"{figure}@{k}"]["difference"] = difference
                found[f"{figure}@{k}"]["interval"] = [difference - 0.02, difference + 0.02]
    return found


def summary(**changes):
    record = {
        "events": 60_000,
        "events_now": 60_000,
        "records": 60_012,
        "seconds": 41.23,
        "events_per_second": 1455.3,
        "metrics": figures(0.25),
        "shadows": {"popularity": figures(0.1, 0.15), "item_knn": figures(0.3, -0.05)},
        "counts": {"clicks": 50_500, "samples": 50_000, "repeated_seen": 500, "not_admitted": 70},
        "dead_letters": {},
        "checkpoint": "runs/replay/checkpoints/ckpt-000000000235",
    }
    return record | changes


def rows(text):
    return {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.strip()}


def test_champion_and_shadows_stand_side_by_side_at_the_largest_k():
    text = shown(ranking_table(summary(), "transformer"))
    assert text.startswith("Top 20, each click")
    assert rows(text)["transformer"] == ["0.250", "0.350"] * 3
    assert rows(text)["popularity"] == ["0.100", "0.200"] * 3 + ["+0.150", "[+0.130,", "+0.170]"]
    assert rows(text)["item_knn"][-3:] == ["-0.050", "[-0.070,", "-0.030]"]
    assert "last: over the last 10,000 samples" in text


def test_the_ranking_fits_in_eighty_columns():
    text = shown(ranking_table(summary(), "transformer"), width=80)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80
    assert "…" not in text


def test_a_champion_alone_is_compared_to_nobody():
    text = shown(ranking_table(summary(shadows={}), "popularity"))
    assert rows(text)["popularity"] == ["0.250", "0.350"] * 3
    assert "ahead" not in text


def test_without_a_sample_there_is_no_ranking():
    assert ranking_table(summary(metrics={}, shadows={"popularity": {}}), "transformer") is None


def test_facts_tell_counts_speed_and_places():
    text = shown(facts_table(summary(), Path("runs/replay")), width=120)
    assert "60,000 in 41.2 s (1,455 events/s)" in text
    assert "50,500, 50,000 of them judged" in text
    assert "70 on items not admitted yet: misses" in text
    assert "500 on items seen before: learned, not judged" in text
    assert "dead letters  none" in text
    assert "runs/replay: summary.json, metrics.jsonl" in text
    assert "runs/replay/checkpoints/ckpt-000000000235" in text


def test_five_reasons_of_dead_letters_are_told_and_the_rest_counted():
    reasons = {f"reason {n}": 10 - n for n in range(7)}
    text = shown(facts_table(summary(dead_letters=reasons), Path("out")), width=120)
    assert "49 in out/dead_letters.jsonl" in text
    assert "10 x reason 0" in text
    assert "6 x reason 4" in text
    assert "reason 5" not in text
    assert "and 2 more reasons" in text


def test_a_reason_is_no_markup():
    reasons = {"Expected `str`, got `array` - at `$[bold]`": 1}
    text = shown(facts_table(summary(dead_letters=reasons), Path("out")), width=120)
    assert "at `$[bold]`" in text


def test_a_run_without_events_or_checkpoint_has_facts_too():
    nothing = summary(events=0, events_now=0, seconds=0.0, events_per_second=None, checkpoint=None)
    text = shown(facts_table(nothing, Path("out")))
    assert rows(text)["events"] == ["0", "in", "0.0", "s"]
    assert "checkpoint" not in text


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
@example([0.0, 2.2250738585072014e-308])
def test_a_sparkline_orders_its_bars_as_their_values(values):
    line = sparkline(values, min(values), max(values))
    by_value = [bar for _, bar in sorted(zip(values, line, strict=True))]
    assert by_value == sorted(line)
    assert by_value[0] == "▁"
    assert by_value[-1] == ("█" if max(values) > min(values) else "▁")


def test_sizes_round_up_to_the_next_unit():
    assert [size_text(n) for n in (0, 999, 1000, 999_949, 999_950, 5 * 10**12)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "999.9 kB",
        "1.0 MB",
        "5.0 TB",
    ]


def test_a_resumed_run_tells_how_much_of_it_was_new():
    text = shown(facts_table(summary(events_now=12_000), Path("out")))
    assert "60,000, 12,000 of them now, in 41.2 s" in text
