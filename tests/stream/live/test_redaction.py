import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.protocol.sasl import SaslAuthenticateRequest

from stream.live.redaction import Redaction, bears_credentials


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("{'sasl_plain_password': 'it\\'s', 'a': 1}", "{'sasl_plain_password': ***, 'a': 1}"),
        ("{'ssl_password': b'abc', 'a': 1}", "{'ssl_password': b***, 'a': 1}"),
        ("{'password': None}", "{'password': ***}"),
        ('{"api_key": "abc"}', '{"api_key": ***}'),
        ("?user=alice&password=abc&x=1", "?user=alice&password=***&x=1"),
        ("access_token = abc, next", "access_token = ***, next"),
        ("Config(client_secret='a b', x=1)", "Config(client_secret=***, x=1)"),
        ("http://alice:a%20b@proxy:3128/", "http://alice:***@proxy:3128/"),
    ],
)
def test_a_value_beside_a_telling_name_is_masked(text, masked):
    assert Redaction().text(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "source.kafka.connection.password: is empty; set it, or FRESHRANK_PASSWORD",
        "password_file: cannot be read",
        "{'sasl_oauth_token_provider': <Provider>}",
        "topics=clicks, partitions=4",
        "http://127.0.0.1:8080/status",
        "kafka://broker:9092, mail to a@b.example",
        "{'n_tokens': 512}",
    ],
)
def test_what_names_no_value_is_left_alone(text):
    assert Redaction(["hunter2"]).text(text) == text


@given(secret=st.text(min_size=4, max_size=30))
def test_a_known_secret_is_masked_in_every_form_it_is_written_in(secret):
    redaction = Redaction([secret])
    for text in (secret, repr(secret)[1:-1], f"x{secret}y", f"({secret})"):
        assert "***" in redaction.text(text)
        assert secret == "****" or secret not in redaction.text(text).replace("***", "")


def test_the_longer_of_two_secrets_is_masked_whole():
    assert Redaction(["abcd", "abcdefgh"]).text("abcdefgh abcd") == "*** ***"


def test_a_secret_of_a_letter_does_not_mask_the_log():
    assert Redaction(["a", ""]).text("a cat") == "a cat"


def test_secrets_are_found_at_any_depth_and_in_any_object():
    class Sasl:
        def __str__(self):
            return "Sasl(hunter2)"

    event = {
        "event": "hunter2",
        "password": "other",
        "config": {"sasl_plain_password": "other", "nested": [{"text": ("hunter2",)}]},
        "object": Sasl(),
        "seq": 5,
        "ok": True,
        "none": None,
    }
    assert Redaction(["hunter2"])(None, "", event) == {
        "event": "***",
        "password": "***",
        "config": {"sasl_plain_password": "***", "nested": [{"text": ["***"]}]},
        "object": "Sasl(***)",
        "seq": 5,
        "ok": True,
        "none": None,
    }


def test_what_holds_itself_comes_to_an_end():
    event = {}
    event["again"] = event
    assert "..." in str(Redaction()(None, "", event))


def test_a_very_long_text_is_cut():
    text = Redaction().text("x" * 100_000)
    assert len(text) < 21_000
    assert text.endswith(" ... (100000 characters)")


def test_a_request_that_bears_credentials_is_known_by_its_kind():
    request = SaslAuthenticateRequest(b"\0alice\0hunter2")
    assert "hunter2" in str(request)

    def record(level, name, *args):
        return logging.LogRecord(name, level, "", 0, "%s Request %d: %s", args, None)

    assert bears_credentials(record(logging.DEBUG, "kafka.net.connection", "node", 3, request))
    assert not bears_credentials(record(logging.DEBUG, "kafka.net.connection", "node", 3, "x"))
    assert not bears_credentials(record(logging.DEBUG, "freshrank.loop", "node", 3, "x"))
