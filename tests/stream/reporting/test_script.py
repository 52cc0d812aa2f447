import re

from stream.reporting.colours import LIGHT
from stream.reporting.script import SCRIPT


def test_every_colour_that_is_used_is_declared():
    assert set(re.findall(r"var\(--([\w-]+)\)", SCRIPT)) - {"name"} <= set(LIGHT)


def test_nothing_is_fetched_and_nothing_ends_the_script():
    assert not re.search(r"https?:|fetch\(|import\(|</script", SCRIPT)
