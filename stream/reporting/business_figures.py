"""Plots of what users say, and of what the business sees."""

from collections.abc import Mapping

from stream.reporting.metric_plots import metric_plot
from stream.reporting.plots import Plot, TimeAxis
from stream.reporting.run_data import RunData

_CAPTIONS: Mapping[str, str] = {
    "like_share": "Likes among the likes, dislikes and hides of what was clicked or shown.",
    "mean_rating": "Mean of the ratings given, in the log's own scale.",
    "mean_dwell": "Mean of the dwelling told, in the log's own unit.",
    "revenue_per_mille": "Value of conversions for a thousand shown items, known when the "
    "conversion window has passed.",
    "revenue_per_click": "Value of conversions for a click.",
    "active_users_day": "Different users who clicked or were shown a list within 24 hours.",
    "active_users_week": "Different users who clicked or were shown a list within 7 days.",
}


def business_plots(run: RunData, axis: TimeAxis) -> list[Plot]:
    """A plot for each figure that was judged."""
    plots = [
        metric_plot(run, axis, metric, caption, "observed") for metric, caption in _CAPTIONS.items()
    ]
    return [plot for plot in plots if plot is not None]
