import pytest
from pydantic import ValidationError

from evaluators.reaction_settings import ReactionsConfig, SwitchConfig, check_switch
from stream.config import FreshrankConfig

RULE = {"name": "low", "kind": "below", "metric": "recall@20", "threshold": 0.2, "react": "switch"}


@pytest.mark.parametrize("reaction", ["boost", "freeze", "switch"])
@pytest.mark.parametrize(
    "bounds", [{"at_most": 0}, {"at_most_per_day": 0}, {"at_most_per_day": 1_001}, {"most": 1}]
)
def test_bounds_that_bound_nothing_are_refused(reaction, bounds):
    with pytest.raises(ValidationError, match=next(iter(bounds))):
        ReactionsConfig.model_validate({reaction: bounds})


@pytest.mark.parametrize("bounds", [{"attempts": 0}, {"at_most_every": 0}])
def test_rollbacks_without_bounds_are_refused(bounds):
    with pytest.raises(ValidationError, match=next(iter(bounds))):
        ReactionsConfig.model_validate({"rollback": bounds})


def test_a_switch_goes_by_a_figure_that_shadows_have():
    check_switch(SwitchConfig(metric="ndcg@5"), (1, 5))
    for metric in ("ctr", "ndcg@6", "precision@5"):
        told = f"metric '{metric}' is not kept of shadows; write one of recall@1, recall@5"
        with pytest.raises(ValueError, match=told):
            check_switch(SwitchConfig(metric=metric), (1, 5))


def test_the_settings_refuse_a_switch_without_shadows_or_by_an_unknown_figure():
    with pytest.raises(ValidationError, match=r"low: react switch serves the best shadow, and"):
        FreshrankConfig.model_validate({"shadows": [], "alerts": {"rules": [RULE]}})
    reactions = {"switch": {"metric": "recall@7"}}
    with pytest.raises(ValidationError, match=r"alerts\.reactions\.switch: metric 'recall@7'"):
        FreshrankConfig.model_validate({"alerts": {"rules": [RULE], "reactions": reactions}})


def test_a_switch_is_refused_on_a_figure_that_another_policy_earned():
    rule = RULE | {"metric": "ctr", "threshold": 0.02}
    with pytest.raises(ValidationError, match="react switch is refused on ctr"):
        FreshrankConfig.model_validate({"alerts": {"rules": [rule]}})
