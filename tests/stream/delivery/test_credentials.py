import hashlib
import hmac

import pytest

from stream.delivery.credentials import auth_headers, read_secret, read_url, signature_headers
from stream.delivery.settings import AuthConfig, SignConfig
from stream.errors import ConfigError


def test_a_bearer_token_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("PAGER_TOKEN", "t0k3n\n")
    signed = auth_headers(AuthConfig(bearer_env="PAGER_TOKEN"), "auth")
    assert (signed.headers, signed.secrets) == ({"Authorization": "Bearer t0k3n"}, ("t0k3n",))


def test_a_password_is_told_as_basic_and_masked_in_both_forms(tmp_path):
    (tmp_path / "password").write_text("hunter2\n")
    auth = AuthConfig(username="alice", password_file=tmp_path / "password")
    signed = auth_headers(auth, "auth")
    assert signed.headers == {"Authorization": "Basic YWxpY2U6aHVudGVyMg=="}
    assert signed.secrets == ("hunter2", "YWxpY2U6aHVudGVyMg==")


def test_a_header_of_any_name_may_hold_the_secret(monkeypatch):
    monkeypatch.setenv("GENIE", "GenieKey 42")
    auth = AuthConfig(header="Authorization", value_env="GENIE")
    assert auth_headers(auth, "auth").headers == {"Authorization": "GenieKey 42"}


def test_a_secret_is_read_anew_each_time(tmp_path):
    path = tmp_path / "token"
    path.write_text("old")
    auth = AuthConfig(bearer_file=path)
    before = auth_headers(auth, "auth").headers
    path.write_text("new")
    assert (before, auth_headers(auth, "auth").headers) == (
        {"Authorization": "Bearer old"},
        {"Authorization": "Bearer new"},
    )


def test_a_secret_that_is_not_there_is_named_by_its_setting():
    with pytest.raises(ConfigError, match=r"deliver\.a\.auth\.bearer_env: the environment variabl"):
        auth_headers(AuthConfig(bearer_env="NOT_SET_ANYWHERE"), "deliver.a.auth")
    with pytest.raises(ConfigError, match=r"no-such-file cannot be read: No such file"):
        auth_headers(AuthConfig(bearer_file="no-such-file"), "deliver.a.auth")


def test_a_secret_that_is_no_text_is_named_by_its_place(tmp_path):
    path = tmp_path / "token"
    path.write_bytes(b"ab\xff")
    with pytest.raises(ConfigError, match=r"is not UTF-8 at byte 2"):
        read_secret(path, None, "auth.bearer")


def test_a_token_with_a_line_end_amid_it_is_refused_and_not_told(monkeypatch):
    monkeypatch.setenv("PAGER_TOKEN", "hunter2\r\nX-Other: 1")
    with pytest.raises(ConfigError, match=r"what no header may") as refused:
        auth_headers(AuthConfig(bearer_env="PAGER_TOKEN"), "auth")
    assert "hunter2" not in str(refused.value)


def test_the_signature_is_the_hmac_of_the_body(monkeypatch):
    monkeypatch.setenv("SHARED", "s3cret")
    signed = signature_headers(SignConfig(secret_env="SHARED"), b'{"id":7}', "sign")
    digest = hmac.new(b"s3cret", b'{"id":7}', hashlib.sha256).hexdigest()
    assert signed.headers == {"X-Freshrank-Signature": f"sha256={digest}"}


def test_an_address_that_is_a_secret_is_not_told_when_it_is_wrong(monkeypatch):
    monkeypatch.setenv("HOOK", "htp://chat/hunter2")
    with pytest.raises(ConfigError, match=r"url_env: holds no address") as refused:
        read_url(None, "HOOK", "alerts.deliver.chat.url")
    assert "hunter2" not in str(refused.value)
