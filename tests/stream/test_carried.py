from stream.carried import joined, texts_of


def test_what_is_declared_is_kept_as_short_texts():
    carried = [{"device": "tv", "hour": 7, "is_new": True, "cart": [1], "other": 1}, None]
    fields = ["device", "hour", "is_new", "cart", "missing"]
    assert texts_of(carried, fields) == [{"device": "tv", "hour": "7", "is_new": "True"}, {}]
    assert texts_of([{"device": "x" * 100}], ["device"]) == [{"device": "x" * 64}]


def test_the_second_word_holds_and_nothing_at_all_is_none():
    assert joined([{"a": "1", "b": "2"}, {}, None], [{"a": 1.0}, {"c": 3.0}, None]) == [
        {"a": 1.0, "b": "2"},
        {"c": 3.0},
        None,
    ]
    assert joined([{}, None], [None, {}]) is None
    assert joined([], []) is None
