import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.tokens import buckets, tokens

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda one: st.lists(one, max_size=4) | st.dictionaries(st.text(max_size=5), one, max_size=4),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({}, []),
        ({"title": "Toy Story, Toy"}, ["toy", "story"]),
        ({"title": "été 🎬 été"}, ["été"]),
        ({"category": "shoes", "text": "Red."}, ["category=shoes", "red"]),
        ({"attributes": {"genres": ["Action", "War"]}}, ["genres=Action", "genres=War"]),
        ({"attributes": {"year": 1995, "is_new": True}}, ["year=1995", "is_new=True"]),
        ({"attributes": {"price": 50.1}}, ["price~5.5"]),
        ({"attributes": {"price": 49.0}}, ["price=49.0"]),
        ({"attributes": {"delta": -0.3, "none": None, "empty": ""}}, ["delta~--1.5"]),
        ({"attributes": {"odd": float("nan"), "deep": [[1]], "map": {"a": 1}}}, ["odd=nan"]),
    ],
)
def test_tokens(told, expected):
    assert tokens(told) == expected


def test_a_price_shares_its_token_with_prices_like_it():
    of = lambda price: tokens({"attributes": {"price": price}})  # noqa: E731
    assert of(49.9) == of(50.1) != of(80.5)


def test_a_book_costs_no_more_than_its_first_lines():
    told = {"title": "t", "text": " ".join(f"w{n}" for n in range(10_000)), "category": "c" * 9_000}
    assert len(tokens(told)) == 34
    assert max(map(len, tokens(told))) == 64


def test_the_first_tokens_are_kept_each_bucket_once():
    told = {"category": "a", "title": "b c d e f"}
    assert buckets(told, 1_000, 2) == buckets(told, 1_000, 6)[:2]
    assert buckets(told, 1, 6) == [0]


@given(told=st.dictionaries(st.sampled_from(["title", "text", "category", "attributes"]), JSON))
def test_whatever_an_item_says_has_some_tokens(told):
    assert all(0 <= one < 50 for one in buckets(told, 50, 8))
