import numpy as np
import pytest

from evaluators.clicks import ClickJudge
from evaluators.conversions import ConversionJudge
from evaluators.paired_streams import PairedStreams
from evaluators.ranking import RankingConfig
from evaluators.ranking_judge import RankingJudge
from evaluators.windows import WindowSizes
from tests.conformance.evaluator_contract import LEARNERS, random_outcomes

SHADOW = LEARNERS[1]
SIZES = WindowSizes(events=150, time_ms=120_000, fade=0.99)


def streams() -> PairedStreams:
    """After a minute of clicks, lists and conversions."""
    ranking = RankingJudge(RankingConfig(ks=(20,)), LEARNERS, SIZES)
    clicks, conversions = ClickJudge(LEARNERS, SIZES), ConversionJudge(LEARNERS, SIZES)
    outcomes = random_outcomes(0)
    ranking.update(outcomes)
    clicks.update(outcomes.matured, outcomes.conversions, outcomes.watermark_ms)
    conversions.update(outcomes.predicted_conversions, outcomes.watermark_ms)
    return PairedStreams([SHADOW], (20,), ranking, clicks, conversions)


@pytest.mark.parametrize("metric", ["recall@20", "ndcg@20", "log_loss", "conversion_log_loss"])
def test_a_lead_over_the_first_batch_is_the_mean_of_its_leads(metric):
    asked = streams()
    leads = asked.leads(SHADOW, metric)
    lead = asked.lead(SHADOW, metric, "total")
    if metric == "conversion_log_loss":  # each of the two told nothing of one click
        assert lead is not None
        assert len(leads) == lead.samples - 1
        return
    assert len(leads) > 20
    assert (lead.value, lead.samples) == (pytest.approx(np.mean(leads)), len(leads))


def test_who_is_no_shadow_cannot_be_compared_with():
    with pytest.raises(
        ValueError, match=r"'champion' is no shadow; expected one of \['popularity'"
    ):
        streams().leads("champion", "recall@20")


def test_a_figure_that_is_not_compared_gets_the_nearest():
    with pytest.raises(ValueError, match=r"auc is not compared .* did you mean"):
        streams().lead(SHADOW, "auc", "total")
