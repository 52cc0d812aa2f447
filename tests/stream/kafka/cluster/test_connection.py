import logging
import ssl
import subprocess
import sys

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.net.sasl.oauth import SaslMechanismOAuth
from pydantic import ValidationError

from stream.errors import ConfigError, KafkaError
from stream.kafka.cluster.connection import ConnectionConfig, SaslConfig, TlsConfig, client_settings
from stream.settings import read_settings

PASSWORD = "correct horse battery staple"


def refusal(tmp_path, text):
    path = tmp_path / "settings.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as refused:
        read_settings(ConnectionConfig, path)
    return str(refused.value)


def scram(**secret):
    sasl = SaslConfig(mechanism="SCRAM-SHA-256", username="reader", **secret)
    return ConnectionConfig(bootstrap="localhost:9092", security="SASL_PLAINTEXT", sasl=sasl)


@pytest.mark.parametrize(
    ("given", "addresses"),
    [
        ("localhost:9092", ("localhost:9092",)),
        ("a:9092, b.example.org:9093,", ("a:9092", "b.example.org:9093")),
        (["a:9092", "10.0.0.1:9093"], ("a:9092", "10.0.0.1:9093")),
        ("[::1]:9092", ("[::1]:9092",)),
    ],
)
def test_addresses_come_as_a_list_or_as_one_text(given, addresses):
    assert ConnectionConfig(bootstrap=given).bootstrap == addresses


@pytest.mark.parametrize(
    ("given", "advice"),
    [
        ("localhost", "the port is missing; write localhost:9092"),
        ("[::1]", "the port is missing; write [::1]:9092"),
        ("::1:9092", "in brackets: [::1]:9092"),
        ("PLAINTEXT://localhost:9092", "write it without PLAINTEXT://"),
        ("localhost:kafka", "write it as host:port"),
        ("localhost:0", "from 1 to 65535"),
        ("localhost:65536", "from 1 to 65535"),
        ("''", "at least one broker"),
        ("9092", "expected host:port"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_by_the_name_of_its_key(tmp_path, given, advice):
    quoted = given if given in ("''", "9092") else f"'{given}'"
    text = refusal(tmp_path, f"bootstrap: {quoted}\n")
    assert "bootstrap: " in text
    assert advice in text


@pytest.mark.parametrize(
    ("key", "group"), [("password", "sasl"), ("token", "sasl"), ("key_password", "tls")]
)
def test_a_secret_in_the_settings_is_refused_and_not_repeated(tmp_path, key, group):
    text = refusal(tmp_path, f"bootstrap: a:1\n{group}: {{{key}: {PASSWORD}}}\n")
    assert f"{group}: a {key} does not belong into settings" in text
    assert f"{key}_file" in text
    assert f"{key}_env" in text
    assert PASSWORD not in text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("security: SASL_SSL", "security SASL_SSL needs the group sasl"),
        ("sasl: {mechanism: PLAIN, username: u, password_env: P}", "set security: SASL_SSL"),
        ("tls: {ca_file: ca.pem}", "nothing would be encrypted; set security: SSL"),
        ("security: SSL\ntls: {key_file: k.pem}", "key_file needs cert_file"),
        (
            "security: SSL\ntls: {cert_file: c, key_password_file: a, key_password_env: b}",
            "keep one",
        ),
        ("sasl: {mechanism: PLAIN, password_env: P}", "mechanism PLAIN needs a username"),
        ("sasl: {mechanism: PLAIN, username: u}", "needs password_file or password_env"),
        ("sasl: {mechanism: OAUTHBEARER}", "needs token_file or token_env"),
        (
            "sasl: {mechanism: OAUTHBEARER, token_env: T, password_env: P}",
            "password_env is of no use",
        ),
        ("sasl: {mechanism: GSSAPI}", "sasl.mechanism: "),
        ("security: TLS", "security: "),
    ],
)
def test_settings_that_contradict_each_other_are_refused(tmp_path, text, told):
    assert told in refusal(tmp_path, f"bootstrap: a:1\n{text}\n")


def test_names_of_kafka_may_be_written_small():
    sasl = {"mechanism": "scram-sha-512", "username": "u", "password_env": "P"}
    config = ConnectionConfig(bootstrap="a:1", security="sasl_ssl", sasl=sasl)
    assert config.security == "SASL_SSL"
    assert config.sasl is not None
    assert config.sasl.mechanism == "SCRAM-SHA-512"


def test_what_is_shown_reads_back_as_the_same():
    config = scram(password_env="P")
    assert ConnectionConfig.model_validate(config.model_dump(mode="json")) == config
    plain = ConnectionConfig(bootstrap="a:1")
    assert ConnectionConfig.model_validate(plain.model_dump(mode="json")) == plain


def test_every_client_takes_the_settings(tmp_path):
    (tmp_path / "password").write_text(PASSWORD)
    sasl = SaslConfig(mechanism="PLAIN", username="u", password_file=tmp_path / "password")
    tls = TlsConfig(ca_file=tmp_path / "ca.pem", cert_file=tmp_path / "client.pem")
    config = ConnectionConfig(bootstrap="a:1", security="SASL_SSL", sasl=sasl, tls=tls)
    settings = client_settings(config)
    for client in (KafkaConsumer, KafkaProducer, KafkaAdminClient):
        assert settings.keys() <= client.DEFAULT_CONFIG.keys()
    assert settings["ssl_cafile"] == str(tmp_path / "ca.pem")
    assert settings["ssl_keyfile"] == str(tmp_path / "client.pem")


def test_a_password_is_read_from_a_file_without_the_end_of_its_line(tmp_path):
    path = tmp_path / "password"
    path.write_text(f" {PASSWORD} \n")
    settings = client_settings(scram(password_file=path))
    assert settings["sasl_plain_password"] == f" {PASSWORD} "
    assert settings["sasl_plain_username"] == "reader"


def test_a_password_is_read_from_the_environment(monkeypatch):
    monkeypatch.setenv("KAFKA_PASSWORD", PASSWORD)
    settings = client_settings(scram(password_env="KAFKA_PASSWORD"))
    assert settings["sasl_plain_password"] == PASSWORD


def test_a_secret_that_is_not_there_is_missed_by_the_name_of_its_setting(tmp_path, monkeypatch):
    monkeypatch.delenv("NO_SUCH_PASSWORD", raising=False)
    with pytest.raises(KafkaError) as missed:
        client_settings(scram(password_env="NO_SUCH_PASSWORD"), "outputs.kafka.connection")
    assert str(missed.value).startswith("outputs.kafka.connection.sasl.password_env: ")
    with pytest.raises(KafkaError) as missed:
        client_settings(scram(password_file=tmp_path / "none"))
    assert str(missed.value).startswith("source.kafka.connection.sasl.password_file: ")
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(KafkaError, match="is empty or not set"):
        client_settings(scram(password_file=tmp_path / "empty"))


def test_a_token_is_read_anew_at_every_connection(tmp_path):
    path = tmp_path / "token"
    path.write_text("first\n")
    sasl = SaslConfig(mechanism="OAUTHBEARER", token_file=path)
    config = ConnectionConfig(bootstrap="a:1", security="SASL_PLAINTEXT", sasl=sasl)
    settings = client_settings(config)
    sent = [SaslMechanismOAuth(**settings).auth_bytes()]
    path.write_text("second\n")
    sent.append(SaslMechanismOAuth(**settings).auth_bytes())
    assert [b"Bearer first\x01" in sent[0], b"Bearer second\x01" in sent[1]] == [True, True]


def test_no_secret_is_in_what_a_debugger_or_a_traceback_would_show(tmp_path):
    path = tmp_path / "password"
    path.write_text(PASSWORD)
    config = scram(password_file=path)
    client_settings(config)
    assert PASSWORD not in f"{config!r} {config.model_dump()}"
    with pytest.raises(ValidationError) as refused:
        SaslConfig.model_validate({"mechanism": "PLAIN", "password": PASSWORD})
    assert PASSWORD not in "".join(str(problem["msg"]) for problem in refused.value.errors())


def test_kafka_python_does_not_log_what_it_sends_once_there_is_a_password(monkeypatch):
    monkeypatch.setenv("KAFKA_PASSWORD", PASSWORD)
    log = logging.getLogger("kafka")
    before = log.level
    try:
        log.setLevel(logging.DEBUG)
        client_settings(scram(password_env="KAFKA_PASSWORD"))
        assert not logging.getLogger("kafka.protocol.parser").isEnabledFor(logging.DEBUG)
    finally:
        log.setLevel(before)


def test_the_password_of_a_key_is_asked_for_only_where_it_is_needed(tmp_path):
    tls = TlsConfig(cert_file=tmp_path / "client.pem")
    config = ConnectionConfig(bootstrap="a:1", security="SSL", tls=tls)
    ask = client_settings(config)["ssl_password"]
    with pytest.raises(KafkaError, match=r"tls\.key_file: .* is encrypted; name a file"):
        ask()
    # kafka-python hands it to ssl, which takes a function.
    with pytest.raises(FileNotFoundError):
        ssl.create_default_context().load_cert_chain(tls.cert_file, None, ask)


def test_reading_settings_does_not_load_kafka_python():
    code = "import sys, stream.kafka.cluster.connection; print('kafka' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
