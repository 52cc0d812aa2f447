import json
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.reporting.markup import Html, element, joined, json_script, table

# What HTML hands on otherwise: lone surrogates have no bytes, \r and \0 are rewritten.
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=50)


class Reader(HTMLParser):
    """Elements, attributes and text of markup."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes, self.text = [], {}, ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes |= dict(attrs)

    def handle_data(self, data):
        self.text += data


@given(text=TEXTS, value=TEXTS)
def test_text_stays_text_in_elements_and_attributes(text, value):
    found = Reader(element("p", text, title=value).text)
    assert found.tags == ["p"]
    assert found.text == text
    assert (found.attributes["title"] or "") == value


def test_markup_made_here_is_not_escaped_again():
    assert element("p", element("b", "<"), Html("<hr>")).text == "<p><b>&lt;</b><hr></p>"


def test_nothing_is_no_child():
    assert joined(["a", None, Html("<br>")]).text == "a<br>"


def test_attributes_lose_their_underscores():
    made = element("input", class_="x", data_key=3, checked=True, hidden=False, id=None)
    assert made.text == '<input class="x" data-key="3" checked>'


@given(TEXTS | st.just("</script><!--<script>\u2028"))
def test_data_for_scripts_comes_back_and_ends_no_script(text):
    raw = json_script("data", {"text": text}).text
    inside = raw.removeprefix('<script type="application/json" id="data">')
    inside = inside.removesuffix("</script>")
    assert json.loads(inside) == {"text": text}
    assert "<" not in inside


def test_numbers_that_json_has_no_word_for_are_refused():
    with pytest.raises(ValueError, match="JSON"):
        json_script("data", [float("nan")])


def test_a_table_names_its_rows_and_columns_and_can_be_scrolled_by_keys():
    html = table("figures", ["learner", "recall"], [["a", "0.5"]]).text
    assert '<th scope="col">learner</th>' in html
    assert '<th scope="col" class="number">recall</th>' in html
    assert '<th scope="row">a</th><td class="number">0.5</td>' in html
    assert '<div class="scroll" role="region" tabindex="0" aria-label="figures">' in html


def test_long_text_in_a_table_gets_a_readable_width():
    html = table("t", ["a", "b"], [["x", "word " * 10]], n_text_columns=2).text
    assert '<td class="long">word ' in html
