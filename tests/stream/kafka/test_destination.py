from stream.kafka.connection import ConnectionConfig
from stream.kafka.destination import Destination


def test_an_error_names_the_setting():
    assert (
        Destination("t", "dead_letters", "r", ConnectionConfig(bootstrap="k:9092")).setting
        == "outputs.kafka.dead_letters"
    )
