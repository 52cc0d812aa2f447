import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluators.alert_rules import AlertsConfig, Rule
from evaluators.alerts import Alerts
from evaluators.e_detector import EDetector
from evaluators.worse_than import WorseThan, check_rivals
from stream.notices import Moment, Notice
from stream.values import Float64s, Reading
from tests.conformance.stateful_contract import StatefulContract, assert_same_bits
from tests.evaluators.test_e_detector import coin_flips

RULE = {"name": "beaten", "kind": "worse_than", "metric": "recall@20", "shadow": "item_knn"}
LEARNERS = ("blend", "transformer", "popularity", "item_knn")
WITH_PROBABILITIES = ("blend", "transformer")


def rival_of(**keys) -> WorseThan:
    return WorseThan(Rule.model_validate(RULE | keys))


def leads(mean: float, n: int, seed: int = 0) -> Float64s:
    return coin_flips(np.random.default_rng(seed), n, mean)


class Judge:
    """Tells the same leads whatever is asked, and remembers what was."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []

    def lead(self, shadow: str, metric: str, over: str) -> Reading | None:
        self.asked.append((shadow, metric, over))
        return Reading(-0.25, 40)

    def leads(self, shadow: str, metric: str) -> Float64s:
        self.asked.append((shadow, metric))
        return np.full(200, -0.5)


def test_it_asks_for_the_rules_own_shadow_figure_and_window():
    judge, rival = Judge(), rival_of(over="events")
    rival.feed(judge)
    assert rival.reading(judge) == Reading(-0.25, 40)
    assert judge.asked == [("item_knn", "recall@20"), ("item_knn", "recall@20", "events")]
    assert rival.is_worse


def test_a_champion_that_is_ahead_is_not_worse():
    rival = rival_of()
    rival.take(leads(0.02, 50_000))
    assert not rival.is_worse


def test_a_champion_that_falls_behind_late_is_worse():
    rival = rival_of()
    rival.take(leads(0.02, 50_000))
    rival.take(leads(-0.1, 3_000))
    assert rival.is_worse
    assert rival.record()["evidence"] >= 1e6


def test_it_ends_when_the_champion_is_ahead_again():
    rival = rival_of()
    rival.take(leads(-0.1, 3_000))
    rival.take(leads(-0.1, 20_000, seed=1))
    assert rival.is_worse  # it goes on being worse, and stays so
    rival.take(leads(0.1, 3_000, seed=2))
    assert not rival.is_worse
    rival.take(leads(-0.1, 3_000, seed=3))
    assert rival.is_worse


def test_it_ends_when_the_champion_is_as_good_again_within_the_margin():
    rival = rival_of(margin=0.05)
    rival.take(leads(-0.15, 8_000))
    assert rival.is_worse
    rival.take(leads(0.0, 8_000, seed=1))
    assert not rival.is_worse


def test_what_is_within_the_margin_is_not_worse():
    strict, lenient = rival_of(), rival_of(margin=0.05)
    for rival in (strict, lenient):
        rival.take(leads(-0.03, 50_000))
    assert (strict.is_worse, lenient.is_worse) == (True, False)


def test_a_longer_run_length_takes_more_to_convince():
    rival = rival_of(arl_events=1_000)
    patient = rival_of(arl_events=1e12)
    for one in (rival, patient):
        one.take(leads(-0.1, 700, seed=2))
    assert (rival.is_worse, patient.is_worse) == (True, False)


def test_losses_are_compared_on_their_own_scale():
    rival = rival_of(metric="log_loss", shadow="transformer", margin=0.5)
    scaled = rival_of(margin=0.1)
    for part in range(20):
        lead_N = leads(-0.02, 500, seed=part)
        rival.take(5 * lead_N)
        scaled.take(lead_N)
    assert_same_bits(rival.state_dict(), scaled.state_dict())
    assert (rival.threshold, scaled.threshold) == (-0.5, -0.1)


@given(seed=st.integers(0, 2**32 - 1), cuts=st.lists(st.integers(0, 6000), max_size=30).map(sorted))
@settings(deadline=None, max_examples=20)
def test_turns_do_not_depend_on_how_samples_are_cut_into_batches(seed, cuts):
    samples = np.concatenate([leads(mean, 2000, seed) for mean in (-0.2, 0.2, -0.2)])
    whole, cut = rival_of(), rival_of()
    whole.take(samples)
    for part in np.split(samples, cuts):
        cut.take(part)
    assert_same_bits(cut.state_dict(), whole.state_dict())


def test_it_turns_where_two_detectors_written_down_apart_do():
    samples = np.concatenate([leads(mean, 2000, seed) for seed, mean in enumerate((-0.2, 0.2))])
    fell = EDetector(1e6, 1.0).update(-samples)
    assert fell is not None
    rose = EDetector(1e4, 1.0).update(samples[fell:])
    assert rose is not None
    for n, is_worse in (
        (fell - 1, False),
        (fell, True),
        (fell + rose - 1, True),
        (fell + rose, False),
    ):
        rival = rival_of()
        rival.take(samples[:n])
        assert rival.is_worse == is_worse, n


class Played:
    """A lead that changes on the way, `BATCH` samples a second."""

    def __init__(self, mean: float, seed: int, samples: float = 1000.0) -> None:
        self._mean, self._seed, self._samples = mean, seed, samples

    def reading(self, metric: str, over: str, policy: str | None = None) -> Reading | None:
        raise AssertionError("no figure of the champion alone is asked for")

    def lead(self, shadow: str, metric: str, over: str) -> Reading | None:
        return Reading(self._mean, self._samples)

    def leads(self, shadow: str, metric: str) -> Float64s:
        return leads(self._mean, BATCH, self._seed)


BATCH = 64
START_MS = 1_700_000_000_000
UP_DOWN_UP = [0.2] * 200 + [-0.2] * 300 + [0.2] * 300


def alerts_of(**keys) -> Alerts:
    return Alerts(AlertsConfig.model_validate({"rules": [RULE | keys]}))


def one_second(alerts: Alerts, second: int, samples: float = 1000.0) -> list[Notice]:
    played = Played(UP_DOWN_UP[second], second, samples)
    return alerts.step(played, Moment(second, START_MS + second * 1000, second * BATCH, {}))


def told(alerts: Alerts, samples: float = 1000.0) -> list[Notice]:
    return [
        notice
        for second in range(len(UP_DOWN_UP))
        for notice in one_second(alerts, second, samples)
    ]


def test_a_rule_fires_when_the_champion_is_worse_and_resolves_when_it_is_not():
    fired, resolved = told(alerts_of())
    assert [fired.state, resolved.state] == ["firing", "resolved"]
    assert 200_000 < fired.ts_ms - START_MS <= 260_000
    assert 500_000 < resolved.ts_ms - START_MS <= 560_000


def test_a_notice_tells_the_lead_the_shadow_and_how_sure_it_is():
    fired, _ = told(alerts_of(margin=0.05, over="events"))
    record = fired.record
    assert (record["kind"], record["shadow"], record["over"]) == (
        "worse_than",
        "item_knn",
        "events",
    )
    assert (record["value"], record["threshold"], record["clear"]) == (-0.2, -0.05, -0.05)
    assert (record["arl_events"], record["reference"]) == (1_000_000, None)
    assert record["evidence"] >= 1_000_000


def test_samples_between_steps_are_heard():
    # On a grid of minutes too: what came before a step is not lost on it.
    every_minute = told(alerts_of())[0]
    alerts = Alerts(AlertsConfig.model_validate({"evaluate_every": "1s", "rules": [RULE]}))
    every_second = told(alerts)[0]
    assert every_second.ts_ms < every_minute.ts_ms
    assert every_second.record["evidence"] == every_minute.record["evidence"]


def test_too_few_samples_behind_the_lead_hold_the_state():
    assert told(alerts_of(min_samples=500), samples=499.0) == []


def test_durations_hold_as_for_every_kind():
    at_once, _ = told(alerts_of())
    pending, late, resolved = told(alerts_of(**{"for": "2m", "keep_firing_for": "1m"}))
    assert [pending.state, late.state, resolved.state] == ["pending", "firing", "resolved"]
    assert (pending.ts_ms, late.ts_ms) == (at_once.ts_ms, at_once.ts_ms + 120_000)


def test_a_rule_that_is_withdrawn_while_it_fires_still_names_its_shadow():
    alerts = alerts_of()
    for second in range(300):
        one_second(alerts, second)
    (notice,) = alerts.reload(AlertsConfig(), Moment(300, START_MS + 300_000, 0, {}))
    assert (notice.state, notice.record["shadow"]) == ("resolved", "item_knn")


class TestAlertsWithARivalState(StatefulContract):
    make = staticmethod(lambda: alerts_of(arl_events=1_000))

    @staticmethod
    def drive(alerts: Alerts, step: int) -> list[list[Notice]]:
        return [one_second(alerts, 100 * step + second) for second in range(100)]


class TestWorseThanState(StatefulContract):
    make = staticmethod(lambda: rival_of(arl_events=1_000))

    @staticmethod
    def drive(rival: WorseThan, step: int) -> object:
        rival.take(leads(-0.2 if step % 2 else 0.2, 230, seed=step))
        return [rival.is_worse, rival.record()]


def refusal(learners: tuple[str, ...] = LEARNERS, **keys) -> str:
    config = AlertsConfig.model_validate({"rules": [RULE | keys]})
    with pytest.raises(ValueError, match=r"alerts\.rules: rule beaten: ") as caught:
        check_rivals(config, (1, 20), learners, WITH_PROBABILITIES)
    return str(caught.value).removeprefix("alerts.rules: rule beaten: ")


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"shadow": "item_kn"}, "did you mean 'item_knn'? Else add it to shadows"),
        ({"shadow": "session_knn"}, "is none of the shadows transformer, popularity, item_knn"),
        ({"shadow": "blend"}, "'blend' is the champion itself; name one of the shadows: transf"),
        ({"learners": ("blend",)}, "no shadow 'item_knn', nor any other; set shadows: [item_knn]"),
        ({"metric": "ctr"}, "ctr is not compared click by click; did you mean"),
        ({"metric": "precision@20"}, "precision@20 is not compared click by click"),
        ({"metric": "log_loss"}, "item_knn tells none; compare with blend or transformer, or wa"),
    ],
)
def test_a_rival_that_is_none_is_refused(keys, told):
    assert told in refusal(**keys)


def test_rules_of_other_kinds_compare_with_nobody():
    rule = {"name": "low", "kind": "below", "metric": "ctr", "threshold": 0.1}
    config = AlertsConfig.model_validate({"rules": [rule]})
    assert check_rivals(config, (20,), ("blend",), ()) is None
