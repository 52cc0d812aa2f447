import pytest

from stream.comparing.pairable import compared_settings, refuse_unpairable
from stream.config import FreshrankConfig
from stream.errors import ConfigError


def config(**settings):
    return FreshrankConfig.model_validate(settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"champion": "item_knn"},
        {"learner": {"width": 32, "seed": 4, "history_items": 10}},
        {"catalogue": {"min_count": 3}},
        {"histories": {"session_gap": "5m"}},
        {"joiner": {"labels": "eager"}},
        {"inputs": {"token_buckets": 128}},
        {"alerts": {"evaluate_every": "7m"}},
        {"batch": {"max_age_ms": 7}},
        {"source": {"kafka": {"connection": {"bootstrap": "b:9092"}, "topics": [{"name": "e"}]}}},
    ],
    ids=str,
)
def test_how_questions_are_answered_may_differ(settings):
    refuse_unpairable(config(), config(**settings))


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"batch": {"events": 512}}, "batch.events: 256 in A, 512 in B"),
        ({"ranking": {"ks": [1, 5]}}, "ranking.ks: [1, 10, 20] in A, [1, 5] in B"),
        ({"ranking": {"exclude_seen": True}}, "ranking.exclude_seen: False in A, True in B"),
        ({"joiner": {"early_wait": "2m"}}, "joiner.early_wait"),
        ({"source": {"until_ms": 7}}, "source.until_ms: None in A, 7 in B"),
        ({"source": {"map": {"user": "visitor"}}}, "source.map"),
        ({"threads": 2}, "threads: None in A, 2 in B"),
    ],
    ids=str,
)
def test_which_questions_are_asked_may_not_and_the_key_is_named(settings, key):
    with pytest.raises(ConfigError) as refused:
        refuse_unpairable(config(), config(**settings))
    assert str(refused.value).startswith(key)
    assert "replay each" in str(refused.value)


def test_every_key_that_may_not_differ_is_told_at_once():
    with pytest.raises(ConfigError) as refused:
        refuse_unpairable(config(), config(threads=2, batch={"events": 7}))
    assert len(str(refused.value).splitlines()) == 2


def test_what_differs_is_told_without_what_makes_no_difference_here():
    other = config(
        champion="item_knn",
        learner={"width": 32},
        checkpoint={"keep": 7},
        evaluator={"emit_events": 5},
        outputs={"files": {"segment_bytes": 8192}},
    )
    assert compared_settings(config(), other) == [
        ("champion", "blend", "item_knn"),
        ("learner.width", 64, 32),
    ]
