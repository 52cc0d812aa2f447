"""Numbers, times and names as people read them; times are UTC."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHARES = (
    *("ctr", "request_ctr", "predicted_ctr", "conversion_rate", "predicted_conversion_rate"),
    *("click_precision", "ece", "ips_ctr", "clipped_ips_ctr", "snips_ctr"),
    *("dr_ctr", "clipped_dr_ctr", "switch_dr_ctr"),
    *("coverage", "like_share", "dislike_share", "hide_share"),
)
_COUNTS = ("active_users_day", "active_users_week")
_TITLES: Mapping[str, str] = {
    "ctr": "CTR",
    "request_ctr": "request CTR",
    "predicted_ctr": "predicted CTR",
    "calibration_ratio": "calibration ratio",
    "log_loss": "log loss",
    "normalized_entropy": "normalised entropy",
    "auc": "AUC",
    "conversion_rate": "conversion rate",
    "predicted_conversion_rate": "predicted conversion rate",
    "conversion_calibration_ratio": "calibration ratio of conversions",
    "conversion_log_loss": "log loss of conversions",
    "conversion_normalized_entropy": "normalised entropy of conversions",
    "conversion_auc": "AUC of conversions",
    "ips_ctr": "IPS",
    "clipped_ips_ctr": "clipped IPS",
    "snips_ctr": "SNIPS",
    "dr_ctr": "DR",
    "clipped_dr_ctr": "clipped DR",
    "switch_dr_ctr": "switch DR",
    "effective_samples": "effective samples",
    "mean_weight": "mean weight",
    "click_precision": "click precision",
    "click_f1": "click F1",
    "ece": "calibration error",
    "gini": "Gini coefficient",
    "personalization": "personalisation",
    "exposure_gap": "exposure gap",
    "interest_shift": "shift of interests",
    "like_share": "share of likes",
    "dislike_share": "share of dislikes",
    "hide_share": "share of hides",
    "mean_rating": "mean rating",
    "mean_dwell": "mean dwelling",
    "revenue_per_mille": "revenue for a thousand shown items",
    "revenue_per_click": "revenue for a click",
    "active_users_day": "active users of a day",
    "active_users_week": "active users of a week",
}
_UNITS_MS = (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000))
MAX_TEXT_CHARS = 300

NOTHING = "\u2013"
"""A dash, where there is no value."""


def metric_title(metric: str) -> str:
    """A metric's name in words.

    Examples
    --------
    >>> metric_title("log_loss"), metric_title("recall@20")
    ('log loss', 'recall@20')
    """
    return _TITLES.get(metric, metric)


def is_share(metric: str) -> bool:
    """Whether a metric is told in percent."""
    return metric in _SHARES


def value_text(value: float | None, metric: str = "") -> str:
    """A metric's value; a dash where there is none.

    Examples
    --------
    >>> value_text(0.03456, "ctr"), value_text(0.03456, "recall@20"), value_text(None) == NOTHING
    ('3.46 %', '0.035', True)
    """
    if value is None or value != value:
        return NOTHING
    if metric in _COUNTS:
        return count_text(value)
    return percent_text(value) if is_share(metric) else f"{value:.3f}"


def percent_text(share: float, digits: int = 2) -> str:
    """A share in percent.

    Examples
    --------
    >>> percent_text(0.5, digits=0)
    '50 %'
    """
    return f"{share * 100:.{digits}f} %"


def count_text(count: float | None) -> str:
    """A whole number with its thousands apart.

    Examples
    --------
    >>> count_text(1234567)
    '1,234,567'
    """
    return NOTHING if count is None or count != count else f"{count:,.0f}"


def time_text(ts_ms: int | None) -> str:
    """An instant in UTC, to the minute.

    Examples
    --------
    >>> time_text(1_704_067_200_000)
    '2024-01-01 00:00'
    """
    if ts_ms is None:
        return NOTHING
    try:
        return f"{_EPOCH + timedelta(milliseconds=ts_ms):%Y-%m-%d %H:%M}"
    except OverflowError:  # no year has five digits here
        return f"{ts_ms} ms"


def span_text(duration_ms: int) -> str:
    """A length of time, by its two largest units.

    Examples
    --------
    >>> span_text(8_100_000), span_text(86_400_000), span_text(1_500)
    ('2 h 15 min', '1 d', '1.5 s')
    """
    if duration_ms < 60_000:
        return f"{duration_ms / 1000:g} s"
    parts: list[str] = []
    left_ms = duration_ms
    for unit, unit_ms in _UNITS_MS:
        n_units, left_ms = divmod(left_ms, unit_ms)
        if n_units:
            parts.append(f"{n_units} {unit}")
        elif parts:
            break
    return " ".join(parts[:2])


def printable(text: str, max_chars: int = MAX_TEXT_CHARS) -> str:
    r"""Text from outside on one line: what does not print is told as its code.

    Examples
    --------
    >>> printable("a\tb\u202ec", 20), printable("x" * 9, 4)
    ('a\\tb\\u202ec', 'xxxx…')
    """
    cut = text[:max_chars] + ("…" if len(text) > max_chars else "")
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in cut
    )


def plot_text(text: str) -> str:
    """Text for a plot, which reads a few HTML tags.

    Examples
    --------
    >>> plot_text("<b>a & b</b>")
    '&lt;b&gt;a &amp; b&lt;/b&gt;'
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
