"""Rules of kind `worse_than`: whether the champion has become worse than a shadow.

A mean since start hardly moves any more when the champion becomes worse after a million clicks.
An e-detector reads the same paired samples as if each were the first: see `EDetector`. Two of them
take turns. While all is well one watches for the champion to be worse by more than the rule's
margin; where it trips the condition becomes true, and the other begins to watch for the opposite:
that the champion's lead is above minus the margin again. Where that trips the condition is false,
and the first begins anew.
"""

from collections.abc import Sequence
from typing import Protocol

from evaluators.alert_rules import AlertsConfig, Rule
from evaluators.e_detector import EDetector
from evaluators.paired_metrics import PAIRED_LOSSES, largest_lead, nearest_name, paired_names
from stream.rule_naming import rule_title
from stream.values import Float64s, Reading, Record, State

DEFAULT_ARL_EVENTS = 1_000_000
# Taking back an alarm too early costs a notice, not a night: a hundredth of the run length will do.
# So it is taken back too where the lead is exactly minus the margin, some time after as many.
_CLEAR_SHARE = 0.01
_LEAST_CLEAR_EVENTS = 1_000.0

_SCHEMA_VERSION = 1


class Leads(Protocol):
    """Who tells how far the champion is ahead; an evaluator does."""

    def lead(self, shadow: str, metric: str, over: str) -> Reading | None: ...

    def leads(self, shadow: str, metric: str) -> Float64s: ...


class WorseThan:
    """The condition of one rule.

    Parameters
    ----------
    rule : Rule
        Of kind `worse_than`.

    Examples
    --------
    >>> import numpy as np
    >>> rule = {"name": "beaten", "kind": "worse_than", "metric": "recall@20", "shadow": "item_knn"}
    >>> rival = WorseThan(Rule.model_validate(rule))
    >>> rival.take(np.full(300, -0.5))
    >>> rival.is_worse
    True
    """

    def __init__(self, rule: Rule) -> None:
        assert rule.shadow is not None, "required of the kind"
        self._shadow, self._metric, self._over = rule.shadow, rule.metric, rule.over
        self._arl_events = rule.arl_events or DEFAULT_ARL_EVENTS
        margin = rule.margin or 0.0
        self.threshold = -margin if margin else 0.0
        self._largest = largest_lead(rule.metric)
        self._margin = margin / self._largest
        reach = 1.0 + self._margin
        self._worse = EDetector(self._arl_events, reach)
        self._better = EDetector(max(_CLEAR_SHARE * self._arl_events, _LEAST_CLEAR_EVENTS), reach)
        self.is_worse = False
        self._evidence = 0.0

    def feed(self, evaluator: Leads) -> None:
        """Take in the samples that the last batch was judged by."""
        self.take(evaluator.leads(self._shadow, self._metric))

    def take(self, lead_N: Float64s) -> None:
        """Take in leads of the champion, oldest first."""
        worse_N = -lead_N / self._largest - self._margin
        n_taken: int | None = 0
        while n_taken is not None:
            worse_N = worse_N[n_taken:]
            detector = self._better if self.is_worse else self._worse
            n_taken = detector.update(-worse_N if self.is_worse else worse_N)
            if n_taken is not None:
                self._evidence = detector.evidence
                self.is_worse = not self.is_worse
                detector.reset()

    def reading(self, evaluator: Leads) -> Reading | None:
        """The champion's lead over the rule's window."""
        return evaluator.lead(self._shadow, self._metric, self._over)

    def record(self) -> Record:
        """What a notice tells beside the lead: what the detector had when it last tripped."""
        return {
            "shadow": self._shadow,
            "arl_events": self._arl_events,
            "evidence": self._evidence,
        }

    def state_dict(self) -> State:
        return {
            "schema_version": _SCHEMA_VERSION,
            "is_worse": self.is_worse,
            "evidence": self._evidence,
            "worse": self._worse.state_dict(),
            "better": self._better.state_dict(),
        }

    def load_state_dict(self, state: State) -> None:
        self.is_worse, self._evidence = state["is_worse"], state["evidence"]
        self._worse.load_state_dict(state["worse"])
        self._better.load_state_dict(state["better"])


def check_rivals(
    config: AlertsConfig,
    ks: tuple[int, ...],
    learners: Sequence[str],
    with_probabilities: Sequence[str],
) -> None:
    """Check what rules of kind `worse_than` compare.

    Parameters
    ----------
    config : AlertsConfig
        The rules; others are passed by.
    ks : tuple of int
        `RankingConfig.ks`.
    learners : sequence of str
        The champion and its shadows.
    with_probabilities : sequence of str
        Names of learners that say how likely clicks are.

    Raises
    ------
    ValueError
        If a rule compares with a learner that is no shadow, or a figure that is not compared.
    """
    champion, *shadows = learners
    for rule in config.rules:
        if rule.kind != "worse_than" or rule.shadow is None:
            continue
        title = f"alerts.rules: {rule_title(rule.name)}"
        if rule.shadow not in shadows:
            raise ValueError(f"{title}: {_not_a_shadow(rule.shadow, champion, shadows)}")
        names = paired_names(ks)
        if rule.metric not in names:
            raise ValueError(
                f"{title}: {rule.metric} is not compared click by click; did you mean "
                f"{nearest_name(rule.metric, names)!r}?"
            )
        if rule.metric in PAIRED_LOSSES and rule.shadow not in with_probabilities:
            raise ValueError(
                f"{title}: {rule.metric} judges probabilities, and {rule.shadow} tells none; "
                f"compare with {' or '.join(with_probabilities)}, or watch recall@{max(ks)}"
            )


def _not_a_shadow(name: str, champion: str, shadows: Sequence[str]) -> str:
    if name == champion:
        whom = f"name one of the shadows: {', '.join(shadows)}" if shadows else "set shadows"
        return f"shadow {name!r} is the champion itself; {whom}"
    if not shadows:
        return f"there is no shadow {name!r}, nor any other; set shadows: [{name}]"
    return (
        f"{name!r} is none of the shadows {', '.join(shadows)}; did you mean "
        f"{nearest_name(name, shadows)!r}? Else add it to shadows"
    )
