import re

from stream.reporting.colours import LIGHT
from stream.reporting.stylesheet import stylesheet


def test_every_colour_that_is_used_is_declared():
    used = set(re.findall(r"var\(--([\w-]+)\)", stylesheet()))
    assert used <= {*LIGHT, *(f"{name}-fill" for name in LIGHT)}


def test_braces_come_in_pairs():
    assert stylesheet().count("{") == stylesheet().count("}")


def test_dark_is_for_screens_only():
    assert "@media screen and (prefers-color-scheme: dark)" in stylesheet()


def test_nothing_is_fetched_and_nothing_ends_the_style():
    assert not re.search(r"url\(|@import|</", stylesheet())
