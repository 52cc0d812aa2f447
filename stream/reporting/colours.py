"""Colours of the report: one for each thing that is drawn, in a light and in a dark scheme.

Plots and page name them as CSS variables; the browser looks them up for the scheme at hand.
"""

from collections.abc import Mapping, Sequence

LIGHT: Mapping[str, str] = {
    "page": "#f6f7f9",
    "card": "#ffffff",
    "ink": "#16191d",
    "muted": "#545c66",
    "line": "#d9dde2",
    "grid": "#e9ecef",
    "accent": "#1c59c7",
    "good": "#17693f",
    "bad": "#b42318",
    "drift": "#6a5690",
    "pending": "#8f5a00",
    "firing": "#c02a1d",
    "reaction": "#006e66",
    "c0": "#1c59c7",
    "c1": "#b4480a",
    "c2": "#1a7a55",
    "c3": "#8838a8",
    "c4": "#7d6000",
    "c5": "#b02358",
    "c6": "#0b7285",
    "c7": "#5a6570",
}
DARK: Mapping[str, str] = {
    "page": "#101317",
    "card": "#181c21",
    "ink": "#e8eaed",
    "muted": "#a3adb8",
    "line": "#333a42",
    "grid": "#272d34",
    "accent": "#82aaff",
    "good": "#6fd39b",
    "bad": "#ff8f84",
    "drift": "#b9a8e6",
    "pending": "#e5b454",
    "firing": "#ff7f74",
    "reaction": "#55cfc0",
    "c0": "#82aaff",
    "c1": "#f29a5e",
    "c2": "#5cc99a",
    "c3": "#cf9cf0",
    "c4": "#d8bb55",
    "c5": "#f58bb4",
    "c6": "#5cc6d6",
    "c7": "#aab4be",
}
# How strongly areas are filled: behind lines, they must not hide them.
_FILLS = {"drift": 0.12, "pending": 0.12, "firing": 0.14, "reaction": 0.75}
_BAND_FILL = 0.16

CHAMPION_COLOUR = "var(--c0)"
TRUTH_COLOUR = "var(--c7)"
_SHADOW_COLOURS = tuple(f"var(--c{n})" for n in (1, 2, 3, 4, 5, 6))
_POLICY_COLOURS = tuple(f"var(--c{n})" for n in (4, 6, 5, 2, 3, 1))


def shadow_colours(names: Sequence[str]) -> dict[str, str]:
    """A colour for each shadow, by its place in the configuration.

    Examples
    --------
    >>> shadow_colours(["popularity", "item_knn"])
    {'popularity': 'var(--c1)', 'item_knn': 'var(--c2)'}
    """
    return _by_turns(names, _SHADOW_COLOURS)


def policy_colours(names: Sequence[str]) -> dict[str, str]:
    """A colour for each policy."""
    return _by_turns(names, _POLICY_COLOURS)


def fill_of(colour: str) -> str:
    """The variable of a colour's thin variant, for areas.

    Examples
    --------
    >>> fill_of("var(--c0)")
    'var(--c0-fill)'
    """
    return colour.replace(")", "-fill)")


def variables(scheme: Mapping[str, str]) -> str:
    """CSS declarations of a scheme, fills included."""
    lines = [f"--{name}: {colour};" for name, colour in scheme.items()]
    for name, colour in scheme.items():
        opacity = _FILLS.get(name, _BAND_FILL)
        red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
        lines.append(f"--{name}-fill: rgba({red}, {green}, {blue}, {opacity});")
    return " ".join(lines)


def _by_turns(names: Sequence[str], colours: Sequence[str]) -> dict[str, str]:
    return {name: colours[place % len(colours)] for place, name in enumerate(names)}
