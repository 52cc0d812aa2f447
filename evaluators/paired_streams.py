"""Champion and shadows on the same samples: who is ahead, over a window and sample by sample."""

from collections.abc import Sequence

from evaluators.clicks import ClickJudge
from evaluators.conversions import ConversionJudge
from evaluators.paired_metrics import nearest_name, paired_names
from evaluators.ranking_judge import RankingJudge
from stream.values import Float64s, Reading


class PairedStreams:
    """Asks the judge that knows: see `Evaluator` for what `lead` and `leads` are.

    Parameters
    ----------
    shadows : sequence of str
        Names, in the order in which judges know them.
    ks : tuple of int
        `RankingConfig.ks`.
    ranking, clicks, conversions
        The judges. Nothing is kept beside what they keep.
    """

    def __init__(
        self,
        shadows: Sequence[str],
        ks: tuple[int, ...],
        ranking: RankingJudge,
        clicks: ClickJudge,
        conversions: ConversionJudge,
    ) -> None:
        self._row_of = {name: row for row, name in enumerate(shadows, start=1)}
        self._names = paired_names(ks)
        self._ranking = ranking
        self._losses: dict[str, ClickJudge | ConversionJudge] = {
            "log_loss": clicks,
            "conversion_log_loss": conversions,
        }

    def lead(self, shadow: str, metric: str, over: str) -> Reading | None:
        """How far the champion is ahead over a window; None without a sample that both judged."""
        row = self._row(shadow, metric)
        if metric in self._losses:
            return self._losses[metric].lead(row, over)
        return self._ranking.lead(row, metric, over)

    def leads(self, shadow: str, metric: str) -> Float64s:
        """The same by sample, of those of the last batch, oldest first."""
        row = self._row(shadow, metric)
        if metric in self._losses:
            return self._losses[metric].leads(row)
        return self._ranking.leads(row, metric)

    def _row(self, shadow: str, metric: str) -> int:
        if shadow not in self._row_of:
            raise ValueError(f"{shadow!r} is no shadow; expected one of {list(self._row_of)}")
        if metric not in self._names:
            raise ValueError(
                f"{metric} is not compared sample by sample; did you mean "
                f"{nearest_name(metric, self._names)}?"
            )
        return self._row_of[shadow]
