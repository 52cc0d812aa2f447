from stream.reproducing.comparing import Reproduction

NOTICE = {"seq": 4, "name": "alert:low:firing", "value": 0.1, "end": {"a": {"line": 7}}}


def of(found):
    return Reproduction(NOTICE, found, 1, 32)


def test_equal_notices_have_no_difference():
    assert of(dict(NOTICE)).is_equal
    assert of(dict(NOTICE)).difference == ""


def test_one_bit_of_a_figure_is_a_difference():
    found = of(NOTICE | {"value": 0.1 + 2**-56})
    assert not found.is_equal
    assert '-  "value": 0.1,' in found.difference.splitlines()
    assert '+  "value": 0.10000000000000002,' in found.difference.splitlines()


def test_keys_in_another_order_are_other_bytes():
    found = of(dict(reversed(NOTICE.items())))
    assert not found.is_equal
    assert found.difference != ""


def test_a_notice_that_did_not_come_is_a_difference_of_all_its_lines():
    found = of(None)
    assert not found.is_equal
    assert not [line for line in found.difference.splitlines()[3:] if not line.startswith("-")]
