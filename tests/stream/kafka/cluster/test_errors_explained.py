import socket
import ssl
from typing import get_args

import kafka.errors as kafka_errors
import pytest

from stream.errors import KafkaError
from stream.kafka.cluster.connection import ConnectionConfig, SaslConfig
from stream.kafka.cluster.errors_explained import Finding, KnockError, explain, is_temporary

PLAIN = ConnectionConfig(bootstrap="kafka-1:9092")
NAMED = ConnectionConfig(
    bootstrap="kafka-1:9092",
    security="SASL_PLAINTEXT",
    sasl=SaslConfig(mechanism="PLAIN", username="reader", password_env="P"),
)


@pytest.mark.parametrize(
    ("err", "temporary"),
    [
        (kafka_errors.KafkaTimeoutError("Unable to bootstrap"), True),
        (kafka_errors.KafkaConnectionError("111 ECONNREFUSED"), True),
        (kafka_errors.NodeNotReadyError(1), True),
        (kafka_errors.NotLeaderForPartitionError(), True),
        (kafka_errors.LeaderNotAvailableError(), True),
        (kafka_errors.BrokerNotAvailableError(), True),
        (kafka_errors.NotEnoughReplicasError(), True),
        (kafka_errors.UnknownTopicOrPartitionError("clicks"), False),
        (kafka_errors.UnknownTopicIdError(), False),
        (kafka_errors.TopicAuthorizationFailedError("clicks"), False),
        (kafka_errors.SaslAuthenticationFailedError("no"), False),
        (kafka_errors.UnsupportedCodecError("zstd"), False),
        (kafka_errors.InvalidTopicError("a b"), False),
        (ConnectionRefusedError(), True),
        (TimeoutError(), True),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), False),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"), True),
        (ssl.SSLCertVerificationError(), False),
        (ValueError("of our own"), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_waiting_is_for_what_passes_by_itself(err, temporary):
    assert is_temporary(err) is temporary
    assert is_temporary(explain(err, PLAIN)) is temporary


def test_an_error_of_our_own_without_a_cause_does_not_pass_by_itself():
    assert is_temporary(KafkaError("a file is missing")) is False


@pytest.mark.parametrize(
    ("err", "parts"),
    [
        (
            kafka_errors.TopicAuthorizationFailedError({"views", "clicks"}),
            ["no permission on clicks, views", "let user reader use it", "connection.sasl"],
        ),
        (
            kafka_errors.GroupAuthorizationFailedError("freshrank"),
            ["no permission on freshrank:", "user reader"],
        ),
        (kafka_errors.UnknownTopicOrPartitionError("clicks"), ["no such topic", "clicks"]),
        (kafka_errors.InvalidTopicError("a b"), ["'a b' is no name of a topic"]),
        (kafka_errors.UnsupportedCodecError("no zstd"), ["no zstd", "zstandard"]),
        (kafka_errors.MessageSizeTooLargeError("big"), ["max.message.bytes"]),
        (
            kafka_errors.SaslAuthenticationFailedError("bad"),
            ["connection.sasl: ", "user reader", "password_env"],
        ),
        (
            kafka_errors.UnsupportedSaslMechanismError("x"),
            ["connection.sasl.mechanism: ", "does not take PLAIN"],
        ),
        (
            kafka_errors.IllegalSaslStateError(),
            ["connection.security: ", "set security: PLAINTEXT"],
        ),
        (
            kafka_errors.KafkaTimeoutError("Unable to bootstrap"),
            ["connection.bootstrap: ", "kafka-1:9092 do not answer"],
        ),
        (kafka_errors.IncompatibleBrokerVersion("x"), ["Kafka 2.8 or later"]),
        (kafka_errors.NotEnoughReplicasError(), ["min.insync.replicas"]),
        (ConnectionRefusedError(111, "refused"), ["connection.bootstrap: ", "do not answer"]),
        (kafka_errors.UnknownError("what"), ["connection: ", "UnknownError (what)"]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_of_kafka_names_the_setting_and_what_to_do(err, parts):
    told = explain(err, NAMED)
    assert [part for part in parts if part not in str(told)] == []
    assert "\n" not in str(told)


def test_the_setting_is_the_one_that_is_given():
    told = explain(kafka_errors.KafkaTimeoutError(), PLAIN, "outputs.kafka.connection")
    assert str(told).startswith("outputs.kafka.connection.bootstrap: ")


def test_what_is_explained_already_stays_as_it_is():
    told = KafkaError("said")
    assert explain(told, PLAIN) is told


@pytest.mark.parametrize("config", [PLAIN, NAMED], ids=["plain", "sasl"])
@pytest.mark.parametrize("finding", get_args(Finding))
def test_every_finding_is_told_by_a_setting_and_where_it_was_made(finding, config):
    told = str(explain(KnockError("kafka-1:9092", finding, "seen"), config))
    assert told.startswith("source.kafka.connection.")
    assert "kafka-1:9092" in told
