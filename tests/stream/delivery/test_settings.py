import pytest
import yaml

from stream.config import FreshrankConfig
from stream.delivery.settings import check_url
from stream.errors import ConfigError
from stream.settings import read_settings


def deliver(tmp_path, *destinations):
    path = tmp_path / "freshrank.yaml"
    path.write_text(yaml.safe_dump({"alerts": {"deliver": list(destinations)}}))
    return read_settings(FreshrankConfig, path).alerts.deliver


def webhook(**changes):
    return {"kind": "webhook", "url": "https://example.org/alerts", **changes}


def alertmanager(**changes):
    return {"kind": "alertmanager", "url": "http://localhost:9093", **changes}


def test_the_shortest_destinations_are_enough(tmp_path):
    hook, manager = deliver(tmp_path, webhook(), alertmanager())
    assert (hook.title, hook.states) == ("webhook", ("firing", "resolved"))
    assert (manager.title, manager.url) == ("alertmanager", ("http://localhost:9093",))


def test_a_cluster_of_alertmanagers_is_a_list(tmp_path):
    (manager,) = deliver(tmp_path, alertmanager(url=["http://am-1:9093", "http://am-2:9093"]))
    assert len(manager.url) == 2


def test_written_settings_read_back(tmp_path):
    found = deliver(
        tmp_path,
        webhook(name="pager", auth={"bearer_env": "T"}, sign={"secret_env": "S"}, timeout="3s"),
        alertmanager(labels={"env": "prod"}, resend_interval="30s"),
    )
    config = FreshrankConfig.model_validate({"alerts": {"deliver": found}})
    again = tmp_path / "again.yaml"
    again.write_text(yaml.safe_dump(config.model_dump(mode="json")))
    assert read_settings(FreshrankConfig, again).alerts.deliver == found


REFUSED = {
    "kind": ({"kind": "pigeon"}, "pigeon"),
    "key": (webhook(urll="x"), "unknown key; did you mean 'url'?"),
    "key_of_the_other": (webhook(resend_interval="1m"), "unknown key"),
    "no_url": ({"kind": "webhook"}, "expected one of url, url_env and url_file"),
    "two_urls": (webhook(url_env="HOOK"), "expected one of url, url_env and url_file"),
    "no_http": (webhook(url="ftp://example.org"), "expected an address such as https://"),
    "blank": (webhook(url="http://example.org/a b"), "blanks"),
    "port": (webhook(url="http://example.org:99999"), "cannot be read"),
    "userinfo": (webhook(url="http://a:hunter2@example.org"), "write them as auth"),
    "token_in_url": (webhook(url="http://example.org?token=hunter2"), "url_env"),
    "plain_bearer": (webhook(auth={"bearer": "hunter2"}), "bearer_env"),
    "plain_password": (webhook(auth={"username": "a", "password": "hunter2"}), "password_env"),
    "plain_secret": (webhook(sign={"secret": "hunter2"}), "secret_env"),
    "no_auth": (webhook(auth={}), "expected one of bearer_env"),
    "two_auths": (webhook(auth={"bearer_env": "A", "password_env": "B"}), "bearer and password"),
    "no_user": (webhook(auth={"password_env": "B"}), "belong together"),
    "no_header": (webhook(auth={"value_env": "B"}), "belong together"),
    "env_and_file": (webhook(auth={"bearer_env": "A", "bearer_file": "b"}), "one of the two"),
    "secret_header": (webhook(headers={"X-Api-Key": "hunter2"}), "value_env"),
    "own_header": (webhook(headers={"Content-Type": "text/plain"}), "leave it out"),
    "bad_header": (webhook(headers={"a b": "1"}), "no name of a header"),
    "line_end": (webhook(headers={"X-Team": "a\r\nb"}), "what no header may"),
    "name": (webhook(name="My Pager"), "1 to 60 of a-z"),
    "key_without_cert": (webhook(tls={"key_file": "k"}), "needs cert_file"),
    "no_instance": (alertmanager(url=[]), "url"),
    "one_twice": (alertmanager(url=["http://a:9093", "http://a:9093/"]), "more than once"),
    "api_path": (alertmanager(url="http://a:9093/api/v2/alerts"), "address of Alertmanager alone"),
    "label": (alertmanager(labels={"my-label": "1"}), "letters, digits and _"),
    "own_label": (alertmanager(labels={"severity": "page"}), "other than alertname and severity"),
    "no_severity": (webhook(severities=[]), "severities"),
}


@pytest.mark.parametrize(("written", "told"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_used_is_refused_with_the_reason(tmp_path, written, told):
    with pytest.raises(ConfigError) as refused:
        deliver(tmp_path, written)
    text = str(refused.value)
    assert "alerts.deliver.0" in text
    assert told in text
    assert "hunter2" not in text


def test_two_destinations_of_one_name_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"two destinations are called 'webhook'"):
        deliver(tmp_path, webhook(), webhook(url="http://elsewhere"))


@pytest.mark.parametrize(
    "url", ["http://localhost:9093", "https://example.org/a/b?team=x", "http://[::1]:8080/"]
)
def test_an_address_is_taken_as_it_is(url):
    assert check_url(url) == url
