import pytest
import yaml
from pydantic import BaseModel, ValidationError

from evaluators.alert_rules import AlertsConfig
from stream.config import FreshrankConfig, judged
from stream.errors import ConfigError
from stream.settings import read_settings


def owners(model=FreshrankConfig, path=""):
    """Every settings model of the tree, by its key."""
    found = {path: model}
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found |= owners(field.annotation, f"{path}.{name}".strip("."))
    return found


def test_an_empty_configuration_is_valid():
    assert FreshrankConfig().champion == "blend"


@pytest.mark.parametrize(
    ("champion", "shadows"),
    [
        ("blend", ("transformer", "popularity", "item_knn", "session_knn")),
        ("transformer", ("popularity", "item_knn", "session_knn")),
        ("item_knn", ("popularity", "session_knn")),
    ],
)
def test_by_default_the_champion_is_judged_beside_its_parts_and_what_costs_little(
    champion, shadows
):
    assert read_settings(FreshrankConfig, None, [f"champion={champion}"]).shadows == shadows


def test_no_shadows_at_all_can_be_asked_for():
    assert read_settings(FreshrankConfig, None, ["shadows=[]"]).shadows == ()


@pytest.mark.parametrize("path", owners())
def test_every_group_of_keys_refuses_unknown_keys_and_changes(path):
    settings = owners()[path].model_config
    assert (settings.get("extra"), settings.get("frozen")) == ("forbid", True)


def test_what_is_written_out_reads_back_as_the_same(tmp_path):
    settings = read_settings(
        FreshrankConfig,
        None,
        [
            "source.map={user: visitorid}",
            "source.speed=60",
            "evaluator.window_time=90m",
            "checkpoint.every=1h",
            "ranking.ks=[5, 50]",
            "shadows=[popularity]",
        ],
    )
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False))
    assert read_settings(FreshrankConfig, path) == settings


def test_durations_are_written_as_people_write_them():
    written = read_settings(FreshrankConfig, None, ["checkpoint.every=90000ms"]).model_dump(
        mode="json"
    )
    assert written["checkpoint"]["every"] == "90s"


@pytest.mark.parametrize("value", ["30", "'30 parsecs'", "-5s", "true"])
def test_a_duration_without_a_unit_is_refused(value):
    with pytest.raises(ConfigError, match=r"session_gap: expected a duration"):
        read_settings(FreshrankConfig, None, [f"histories.session_gap={value}"])


@pytest.mark.parametrize("key", ["threads=99999", "learner.width=100000000"])
def test_sizes_that_no_machine_can_hold_are_refused(key):
    with pytest.raises(ConfigError, match=r"less than or equal to"):
        read_settings(FreshrankConfig, None, [key])


def test_a_stretch_of_time_that_ends_before_it_begins_is_refused():
    with pytest.raises(ConfigError, match=r"from_ms 9 is not before until_ms 5"):
        read_settings(FreshrankConfig, None, ["source.from_ms=9", "source.until_ms=5"])


def test_a_misspelled_key_of_any_depth_is_told_with_the_nearest():
    with pytest.raises(ConfigError, match=r"evaluator\.windw_events: .* 'window_events'"):
        read_settings(FreshrankConfig, None, ["evaluator.windw_events=5"])


@pytest.mark.parametrize("shadows", [("blend",), ("popularity", "popularity")])
def test_a_learner_is_champion_or_shadow_once(shadows):
    with pytest.raises(ValidationError, match="named more than once"):
        FreshrankConfig(shadows=shadows)


def test_an_unknown_learner_is_refused():
    with pytest.raises(ConfigError, match=r"champion: .*'transformer'"):
        read_settings(FreshrankConfig, None, ["champion=oracle"])


RULE = {"name": "a", "kind": "below", "metric": "recall@20", "threshold": 0.2}


@pytest.mark.parametrize(
    ("champion", "rule", "told"),
    [
        ("item_knn", {"react": "boost"}, "react boost needs a champion with weights, got item_knn"),
        ("item_knn", {"react": "rollback"}, "react rollback needs a champion with weights"),
        ("item_knn", {"metric": "skipped_share"}, "skipped_share judges optimizer steps, and item"),
        ("popularity", {"metric": "auc"}, "auc judges click probabilities, and popularity gives"),
        ("transformer", {"metric": "recal@20"}, "did you mean 'recall@20'"),
        ("transformer", {"metric": "dr_ctr"}, "set evaluator.off_policy.temperature: 1.0"),
    ],
)
def test_a_rule_that_cannot_be_followed_is_refused(champion, rule, told):
    values = {"champion": champion, "shadows": [], "alerts": {"rules": [RULE | rule]}}
    with pytest.raises(ValueError, match=told):
        FreshrankConfig.model_validate(values)


WORSE = {"name": "beaten", "kind": "worse_than", "metric": "recall@20", "shadow": "item_knn"}


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"shadow": "item_nn"}, r"rule beaten: 'item_nn' is none of the shadows .* 'item_knn'"),
        ({"shadow": "blend"}, "'blend' is the champion itself"),
        ({"shadow": "counting"}, "'counting' is none of the shadows"),
        ({"metric": "log_loss"}, "item_knn tells none; compare with blend or transformer"),
        ({"metric": "recall@9"}, "did you mean 'recall@"),
    ],
)
def test_a_rule_that_compares_with_no_shadow_is_refused(keys, told):
    with pytest.raises(ValueError, match=told):
        FreshrankConfig.model_validate({"alerts": {"rules": [WORSE | keys]}})


def test_the_champion_is_compared_with_a_shadow_on_clicks_and_on_probabilities():
    rules = [WORSE, WORSE | {"name": "b", "metric": "log_loss", "shadow": "transformer"}]
    assert len(FreshrankConfig.model_validate({"alerts": {"rules": rules}}).alerts.rules) == 2


def test_what_a_champion_would_have_had_can_be_watched_if_it_is_asked_about():
    rules = {"rules": [RULE | {"metric": "dr_ctr"}]}
    evaluator = {"off_policy": {"temperature": 0.5}}
    assert FreshrankConfig(evaluator=evaluator, alerts=rules).evaluator.off_policy.candidates == 200
    given = {"rules": [RULE | {"metric": "dr_ctr", "policy": "new"}]}
    assert FreshrankConfig(alerts=given).alerts.rules[0].policy == "new"


def test_freeze_needs_no_weights():
    rules = {"rules": [RULE | {"react": "freeze"}]}
    config = FreshrankConfig(champion="item_knn", shadows=(), alerts=rules)
    assert config.alerts.rules[0].react == "freeze"


def test_the_files_of_outputs_are_bounded_unless_told_otherwise():
    assert FreshrankConfig().outputs.files.max_bytes == 1 << 30
    settings = read_settings(FreshrankConfig, None, ["outputs.files.max_bytes=null"])
    assert settings.outputs.files.max_bytes is None
    with pytest.raises(ConfigError, match=r"outputs\.files: .*less than two segments"):
        read_settings(FreshrankConfig, None, ["outputs.files.max_bytes=100000"])


def test_a_rule_on_a_figure_that_is_not_judged_says_what_to_set():
    rule = {"name": "stale", "kind": "below", "metric": "coverage", "threshold": 0.1}
    settings = {"alerts": {"rules": [rule]}}
    assert FreshrankConfig.model_validate(settings).alerts.rules[0].metric == "coverage"
    with pytest.raises(ValidationError, match=r"stale: coverage .*experience.enabled: true"):
        FreshrankConfig.model_validate(settings | {"evaluator": {"experience": {"enabled": False}}})


def test_who_is_told_of_alerts_is_no_part_of_what_decides_which_there_are():
    rule = {"name": "low", "kind": "below", "metric": "recall@20", "threshold": 0.1}
    rules = {"evaluate_every": "2m", "rules": [rule]}
    deliver = [{"kind": "webhook", "url": "http://localhost:1"}]
    told = FreshrankConfig.model_validate({"alerts": rules | {"deliver": deliver}})
    silent = FreshrankConfig.model_validate({"alerts": rules})
    assert judged(told.alerts) == judged(silent.alerts)
    assert "deliver" not in judged(told.alerts).model_dump()
    assert AlertsConfig.model_validate(judged(told.alerts).model_dump()) == judged(told.alerts)
