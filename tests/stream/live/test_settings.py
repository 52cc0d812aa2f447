import pytest
import yaml
from pydantic import BaseModel, ValidationError

from stream.durations import WRITTEN_BY_PEOPLE
from stream.errors import ConfigError
from stream.live.settings import LogConfig, ServerConfig, WatchConfig, WatchRule
from stream.settings import read_settings

SILENT = {"name": "no_clicks", "kind": "silent", "for": "5m"}
LAGGING = {"name": "too_slow", "kind": "lagging", "records": 50_000}


class Settings(BaseModel):
    watch: WatchConfig = WatchConfig()


def refusal(tmp_path, *rules, **keys) -> str:
    """What a person who wrote this is told, without the file's name."""
    path = tmp_path / "freshrank.yaml"
    path.write_text(yaml.safe_dump({"watch": {"rules": list(rules), **keys}}))
    with pytest.raises(ConfigError) as caught:
        read_settings(Settings, path)
    return str(caught.value).removeprefix(f"{path}: ")


def test_who_asks_for_nothing_hears_of_silence_and_of_a_lag():
    config = WatchConfig()
    assert [(rule.name, rule.kind, rule.for_ms, rule.behind) for rule in config.rules] == [
        ("silent", "silent", 600_000, None),
        ("lagging", "lagging", 60_000, 300_000),
    ]
    assert (config.every, config.stuck_after) == (1_000, 120_000)


def test_own_rules_take_the_place_of_the_given_ones():
    config = WatchConfig.model_validate({"rules": [SILENT]}, context=WRITTEN_BY_PEOPLE)
    assert [rule.name for rule in config.rules] == ["no_clicks"]
    assert WatchConfig.model_validate({"rules": []}).rules == ()


def test_a_lag_must_last_for_a_while_unless_told():
    assert WatchRule.model_validate(LAGGING).for_ms == 30_000
    assert WatchRule.model_validate(LAGGING | {"for": "2m"}).for_ms == 120_000


@pytest.mark.parametrize(
    "rule",
    [
        SILENT,
        {**SILENT, "severity": "page", "description": "nobody clicks"},
        {**LAGGING, "behind": "90s", "for": "1m"},
    ],
)
def test_a_rule_that_was_written_down_reads_back(rule):
    config = WatchConfig.model_validate({"rules": [rule]}, context=WRITTEN_BY_PEOPLE)
    text = yaml.safe_dump(config.model_dump(mode="json"))
    assert WatchConfig.model_validate(yaml.safe_load(text), context=WRITTEN_BY_PEOPLE) == config


def test_a_rule_is_written_with_the_keys_of_its_kind():
    written = WatchRule.model_validate(SILENT).model_dump(mode="json")
    assert written["for"] == "5m"
    assert not {"for_", "records", "behind"} & set(written)


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        (
            [SILENT, {**LAGGING, "name": "no_clicks"}],
            (
                "watch: two rules are named 'no_clicks'; give each a name of its own, such as "
                "no_clicks_2"
            ),
        ),
        (
            [{**SILENT, "records": 5}],
            (
                "watch.rules.0: rule no_clicks: records belongs to kind lagging, but the rule is "
                "of kind silent; its own key is for"
            ),
        ),
        (
            [{**SILENT, "behind": "5m"}],
            (
                "watch.rules.0: rule no_clicks: behind belongs to kind lagging, but the rule is "
                "of kind silent; its own key is for"
            ),
        ),
        (
            [{"name": "no_clicks", "kind": "silent"}],
            "watch.rules.0: rule no_clicks: kind silent needs for; write for example for: 10m",
        ),
        (
            [{"name": "too_slow", "kind": "lagging"}],
            (
                "watch.rules.0: rule too_slow: kind lagging needs records or behind, or both; "
                "write for example records: 100000 or behind: 5m"
            ),
        ),
        (
            [{**SILENT, "for": "0s"}],
            "watch.rules.0.for: expected a time longer than 0, such as 30s or 10m (got '0s')",
        ),
        (
            [{**LAGGING, "behind": "0m"}],
            "watch.rules.0.behind: expected a time longer than 0, such as 30s or 10m (got '0m')",
        ),
        (
            [{**SILENT, "fore": "5m"}],
            "watch.rules.0: rule no_clicks: unknown key 'fore'; did you mean 'for'?",
        ),
        (
            [{**SILENT, "name": "No clicks"}],
            (
                "watch.rules.0.name: expected 1 to 100 of a-z, 0-9, _ and -, such as recall_low "
                "(got 'No clicks')"
            ),
        ),
    ],
)
def test_rules_that_cannot_be_meant_are_refused_in_words(tmp_path, rules, told):
    assert refusal(tmp_path, *rules) == told


@pytest.mark.parametrize("key", ["every", "stuck_after"])
def test_no_time_at_all_is_refused(tmp_path, key):
    assert refusal(tmp_path, **{key: "0s"}) == (
        f"watch.{key}: expected a time longer than 0, such as 30s or 10m (got '0s')"
    )


def test_a_lag_of_no_records_is_refused(tmp_path):
    assert refusal(tmp_path, {**LAGGING, "records": 0}).startswith("watch.rules.0.records: ")


@pytest.mark.parametrize("port", [-1, 65_536, "http"])
def test_a_port_that_is_none_is_refused(port):
    with pytest.raises(ValidationError, match="port"):
        ServerConfig.model_validate({"port": port})


def test_the_server_listens_to_this_machine_alone_and_can_be_left_out():
    assert ServerConfig().host == "127.0.0.1"
    assert ServerConfig(port=None).port is None


def test_a_level_that_is_none_is_refused():
    with pytest.raises(ValidationError, match="'debug', 'info', 'warning' or 'error'"):
        LogConfig.model_validate({"level": "loud"})
