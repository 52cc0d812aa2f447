import pytest

from stream.reporting.colours import (
    DARK,
    LIGHT,
    fill_of,
    policy_colours,
    shadow_colours,
    variables,
)

READ = ("ink", "muted", "accent", "good", "bad", "drift", "pending", "firing", "reaction")
DRAWN = tuple(f"c{n}" for n in range(8))


def luminance(colour):
    def linear(byte):
        share = byte / 255
        return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4

    red, green, blue = (linear(int(colour[at : at + 2], 16)) for at in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("name", READ)
@pytest.mark.parametrize("ground", ["page", "card"])
def test_text_can_be_read(scheme, name, ground):
    assert contrast(scheme[name], scheme[ground]) >= 4.5


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("name", DRAWN)
def test_lines_can_be_seen(scheme, name):
    assert contrast(scheme[name], scheme["card"]) >= 3.0


def test_both_schemes_have_the_same_names():
    assert list(LIGHT) == list(DARK)


def test_every_colour_has_a_thin_variant():
    declared = variables(LIGHT)
    for name in LIGHT:
        assert f"--{name}: {LIGHT[name]};" in declared
        assert f"--{name}-fill: rgba(" in declared
    assert fill_of("var(--c3)") == "var(--c3-fill)"


def test_a_shadow_keeps_its_colour_whoever_follows():
    assert shadow_colours(["a", "b"])["b"] == shadow_colours(["a", "b", "c"])["b"]


def test_no_shadow_has_the_champion_s_colour():
    assert "var(--c0)" not in shadow_colours([str(n) for n in range(20)]).values()


def test_six_policies_have_six_colours():
    assert len(set(policy_colours([str(n) for n in range(6)]).values())) == 6
