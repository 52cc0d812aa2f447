import yaml

from stream.config import FreshrankConfig
from stream.reporting.settings_table import changed_settings, settings_block

DEFAULTS = {"batch": {"events": 256, "ids": []}, "ks": [1, 10], "device": None}


def test_only_what_differs_from_the_defaults_is_told():
    settings = {"batch": {"events": 64, "ids": []}, "ks": [1, 20], "device": None}
    assert changed_settings(settings, DEFAULTS) == [
        ("batch.events", "64", "256"),
        ("ks", "[1, 20]", "[1, 10]"),
    ]


def test_a_key_that_no_default_has_is_told_without_one():
    assert changed_settings({"old": 1}, DEFAULTS) == [("old", "1", "\u2013")]


def test_rules_are_told_one_by_one():
    settings = {"alerts": {"rules": [{"name": "a", "threshold": 0.5}, {"name": "b"}]}}
    assert changed_settings(settings, {"alerts": {"rules": []}}) == [
        ("alerts.rules.0", "{name: a, threshold: 0.5}", "\u2013"),
        ("alerts.rules.1", "{name: b}", "\u2013"),
    ]


def test_a_configuration_as_it_is_written_differs_only_where_it_was_changed():
    defaults = FreshrankConfig().model_dump(mode="json")
    changed = FreshrankConfig.model_validate({"batch": {"events": 64}, "threads": 2})
    written = yaml.safe_load(yaml.safe_dump(changed.model_dump(mode="json")))
    assert changed_settings(written, defaults) == [
        ("batch.events", "64", "256"),
        ("threads", "2", "unset"),
    ]


def test_the_whole_file_is_there_as_text():
    html = settings_block({"a": 1}, "a: 1  # <b>\n", {"a": 1}).text
    assert "Every key has its default." in html
    assert "<summary>All settings</summary><pre><code>a: 1  # &lt;b&gt;\n</code></pre>" in html


def test_a_run_without_settings_says_so():
    assert "holds no settings" in settings_block({}, None, DEFAULTS).text
