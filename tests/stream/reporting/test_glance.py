import re

from stream.reporting.alert_episodes import read_alerts
from stream.reporting.formatting import NOTHING
from stream.reporting.glance import glance_block
from stream.reporting.markup import joined
from stream.reporting.sections import time_axis
from tests.stream.reporting.rich_run import alert_records
from tests.stream.reporting.runs_in_memory import clicks_only, rich_run_of, run_of


def text_of(run):
    html = joined(glance_block(run, time_axis(run).marks)).text
    return " ".join(re.sub("<[^>]+>", " ", html).split())


def rich(**changes):
    return rich_run_of(144, alerts=read_alerts(alert_records()), **changes)


def test_it_says_whom_the_champion_is_ahead_of_and_whom_not():
    assert (
        "In recall@20 since start, transformer is ahead of popularity, item_knn; undecided against "
        "session_knn." in text_of(rich())
    )


def test_it_says_which_alerts_still_fire():
    assert "3 alerts of 2 rules fired; still firing: ctr_drop since 2024-01-06 21:00." in text_of(
        rich()
    )
    resolved = rich_run_of(144, alerts=read_alerts(alert_records()[:9]))
    assert "2 alerts of 2 rules fired; all have resolved." in text_of(resolved)


def test_it_names_slices_for_which_it_is_worse():
    assert "Recall@20 is below overall in item=new (0.300), " in text_of(rich())


def test_a_change_is_told_with_its_levels_its_doubt_and_what_was_marked_meanwhile():
    text = text_of(rich())
    assert "recall@20 last 500 samples 0.373 2024-01-02 22:00 0.356 to 0.390 0.183" in text
    assert "sure A1, A2, R1 0.409 100 %" in text
    assert re.search(
        rf"log loss last 500 samples 0\.195 [-0-9: ]+ 0\.215 [-0-9: ]+ {NOTHING} A1", text
    )


def test_names_from_outside_stay_text():
    run = rich()
    hostile = "</li><script>x</script>"
    slices = {hostile: {"ctr": {"total": 0.9, "samples": {"total": 9000}}}}
    summary = run.summary | {"slices": slices}
    html = joined(glance_block(rich(summary=summary), ())).text
    assert "<script>" not in html


def test_a_run_that_has_only_begun_has_nothing_to_say():
    assert text_of(run_of([clicks_only(5)])) == "Nothing was judged yet."
