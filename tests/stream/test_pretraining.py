import json

import pytest

from learners.transformer import TransformerLearner
from stream.appearing_folder import unfinished_folder
from stream.checkpoint_files import read_latest
from stream.config import FreshrankConfig
from stream.errors import NoUsableEventError, UsageError
from stream.pretraining import (
    Epoch,
    PretrainConfig,
    Pretraining,
    Stage,
    StoppedError,
    _Passes,
    pretrain,
)
from stream.run_folder import resolved
from stream.settings import read_settings
from tests.conformance.stateful_contract import assert_same_bits, is_same
from tests.runs import small_config, write_shop


class Watching:
    """Writes down what it is told, and wants to stop at a stage if it was given one."""

    def __init__(self, stop_at: str | None = None) -> None:
        self.stages: list[Stage] = []
        self.epochs: list[Epoch] = []
        self._stop_at = stop_at

    def begin(self, stage: Stage) -> None:
        self.stages.append(stage)

    def step(self) -> None:
        if self.stages[-1].name == self._stop_at:
            raise StoppedError

    def judged(self, epoch: Epoch) -> None:
        self.epochs.append(epoch)


@pytest.fixture(scope="module")
def events(tmp_path_factory):
    return write_shop(tmp_path_factory.mktemp("shop") / "events.jsonl", 250)


def job_of(events, out, passes=None, **changes) -> Pretraining:
    config = resolved(small_config(**{"shadows": []} | changes), out, resume=False)
    passes = {"epochs": 3, "validation_share": 0.3} | (passes or {})
    return Pretraining(config, PretrainConfig.model_validate(passes), [str(events)], out)


def n_clicks(events) -> int:
    return events.read_bytes().count(b'"type":"click"')


def test_it_leaves_a_run_that_has_read_all_events_and_says_what_the_epochs_came_to(
    events, tmp_path
):
    out, watching = tmp_path / "base", Watching()
    pretrained = pretrain(job_of(events, out), watching)
    assert pretrained.n_clicks == n_clicks(events)
    assert pretrained.epochs == watching.epochs
    assert [epoch.number for epoch in pretrained.epochs] == [1, 2, 3]
    record = json.loads((out / "pretraining.json").read_text())
    assert record["best_epoch"] == pretrained.best.number
    assert record["epochs"][0]["figure"] == pretrained.epochs[0].figure > 0
    found = read_latest(out / "checkpoints")
    assert found is not None
    assert found.state["n_records"] == events.read_bytes().count(b"\n")
    assert read_settings(FreshrankConfig, out / "config.yaml").champion == "transformer"
    assert not unfinished_folder(out).exists()


def test_it_is_told_what_goes_on_stage_by_stage(events, tmp_path):
    watching = Watching()
    pretrained = pretrain(job_of(events, tmp_path / "base", {"epochs": 2}), watching)
    assert [stage.name for stage in watching.stages] == [
        *("reading", "epoch 1", "validation 1", "epoch 2", "validation 2", "last pass")
    ]
    done = {stage.name: stage.n_done for stage in watching.stages}
    assert all(stage.n_done == stage.n_total for stage in watching.stages[1:])
    assert done["epoch 1"] + done["last pass"] == done["reading"]
    assert done["epoch 2"] == pretrained.n_lessons


def test_two_pretrainings_leave_the_same_bytes(events, tmp_path):
    for name in ("one", "two"):
        pretrain(job_of(events, tmp_path / name), Watching())
    files = {
        name: {
            path.relative_to(tmp_path / name): path.read_bytes()
            for path in (tmp_path / name).rglob("*")
            # Recovery points come by a timer.
            if path.is_file() and path.name != "run.lock" and "checkpoints" not in str(path)
        }
        for name in ("one", "two")
    }
    assert files["one"] == files["two"]
    one, two = (read_latest(tmp_path / name / "checkpoints") for name in ("one", "two"))
    assert one is not None
    assert two is not None
    assert_same_bits(one.state, two.state)


def states_before_validation(events, out, monkeypatch):
    """The champion's state whenever the tail is about to be predicted."""
    states, validated = [], _Passes._validated

    def noting(self, *args):
        states.append(self._champion_state())
        return validated(self, *args)

    with monkeypatch.context() as patched:
        patched.setattr(_Passes, "_validated", noting)
        pretrained = pretrain(job_of(events, out, {"patience": 9}), Watching())
    return states, pretrained


def test_no_epoch_learns_anything_of_the_tail(events, tmp_path, monkeypatch):
    """Other answers in the tail: the figures change, the weights that gave them do not."""
    states, pretrained = states_before_validation(events, tmp_path / "one", monkeypatch)
    lines = [json.loads(line) for line in events.read_bytes().splitlines()]
    is_click = [n for n, line in enumerate(lines) if line.get("type", "click") == "click"]
    for n in is_click[-(pretrained.n_tail_clicks - 1) :]:
        lines[n]["item"] = "another"
    other = tmp_path / "other.jsonl"
    other.write_text("".join(json.dumps(line) + "\n" for line in lines))
    others, changed = states_before_validation(other, tmp_path / "two", monkeypatch)
    assert len(states) == 3
    assert_same_bits(others, states)
    assert changed.epochs[0].figure != pretrained.epochs[0].figure


def test_the_tail_is_predicted_by_weights_that_stand_still(events, tmp_path, monkeypatch):
    watching, learn, learned_in = Watching(), TransformerLearner.learn, set()

    def noting(self, outcomes):
        learned_in.add(watching.stages[-1].name)
        learn(self, outcomes)

    monkeypatch.setattr(TransformerLearner, "learn", noting)
    pretrain(job_of(events, tmp_path / "base", {"epochs": 2}), watching)
    assert learned_in == {"epoch 1", "last pass"}


def test_a_further_epoch_moves_the_weights_and_not_what_is_replayed(events, tmp_path, monkeypatch):
    first, second, third = states_before_validation(events, tmp_path / "one", monkeypatch)[0]
    assert not is_same(first["finetuner"]["weights"], second["finetuner"]["weights"])
    assert not is_same(second["finetuner"]["weights"], third["finetuner"]["weights"])
    assert_same_bits(first["replay"], third["replay"])
    assert_same_bits(first["tasks"], third["tasks"])


@pytest.mark.parametrize(
    ("figures", "n_epochs", "best"),
    [([0.3, 0.5, 0.4, 0.5, 0.9], 4, 2), ([0.3, 0.2, 0.1, 0.9], 3, 1), ([0.1, 0.2, 0.3], 3, 3)],
)
def test_it_stops_when_epochs_no_longer_help_and_keeps_the_best_ones_weights(
    events, tmp_path, monkeypatch, figures, n_epochs, best
):
    states, kept = [], []
    learn_tail = _Passes._learn_tail

    def validated(self, number, to_beat, tail, cut):
        states.append(self._champion_state())
        return Epoch(number, figures[number - 1], number == 1 or figures[number - 1] > to_beat)

    def noting(self, *args):
        kept.append(self._champion_state())
        learn_tail(self, *args)

    monkeypatch.setattr(_Passes, "_validated", validated)
    monkeypatch.setattr(_Passes, "_learn_tail", noting)
    passes = {"epochs": len(figures), "patience": 2}
    pretrained = pretrain(job_of(events, tmp_path / "base", passes), Watching())
    assert len(pretrained.epochs) == len(states) == n_epochs
    assert pretrained.best.number == best
    assert_same_bits(_weights(kept[0]), _weights(states[best - 1]))
    served, best_served = kept[0]["served"], states[best - 1]["served"]
    assert_same_bits(served["weights"], best_served["weights"])


def _weights(state):
    return {name: held["weight"] for name, held in state["finetuner"]["weights"].items()}


def test_validation_leaves_the_run_as_it_was(events, tmp_path, monkeypatch):
    validated = _Passes._validated

    def checked(self, *args):
        before = self._pipeline.parts.evaluator.metrics(), self._champion_state()
        judged = validated(self, *args)
        after = self._pipeline.parts.evaluator.metrics(), self._champion_state()
        assert_same_bits(after, before)
        return judged

    monkeypatch.setattr(_Passes, "_validated", checked)
    out = tmp_path / "base"
    pretrain(job_of(events, out, {"epochs": 2}), Watching())
    assert not (out / "validation").exists()


def test_passes_over_a_blend_teach_the_transformer_in_it(events, tmp_path):
    job = job_of(events, tmp_path / "base", {"epochs": 2}, champion="blend")
    assert len(pretrain(job, Watching()).epochs) == 2


def test_only_the_newest_clicks_are_gone_over_again(events, tmp_path):
    job = job_of(events, tmp_path / "base", {"epochs": 2, "max_lessons": 60})
    pretrained = pretrain(job, Watching())
    assert pretrained.n_lessons <= 60 < pretrained.n_dropped


@pytest.mark.parametrize("stage", ["reading", "epoch 1", "validation 1", "epoch 2", "last pass"])
def test_stopped_at_any_stage_it_leaves_nothing(events, tmp_path, stage):
    with pytest.raises(StoppedError):
        pretrain(job_of(events, tmp_path / "base", {"epochs": 2}), Watching(stage))
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_one_left_is_cleared(events, tmp_path):
    left = unfinished_folder(tmp_path / "base")
    left.mkdir()
    (left / "metrics.jsonl").write_text("half")
    pretrain(job_of(events, tmp_path / "base", {"epochs": 1}), Watching())
    assert "half" not in (tmp_path / "base" / "metrics.jsonl").read_text()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"champion": "popularity"}, "champion: popularity: has no weights"),
        ({"source": {"limit": 9}}, "source.limit: 9: a pretraining reads its events to their end"),
        ({"start_from": "elsewhere"}, "start_from: elsewhere: a pretraining begins with fresh"),
        ({"batch": {"events": 4096}}, "clicks in 1 batches are too few"),
    ],
)
def test_what_cannot_be_pretrained_is_refused(events, tmp_path, changes, expected):
    with pytest.raises(UsageError, match=expected):
        pretrain(job_of(events, tmp_path / "base", **changes), Watching())
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_exists_is_refused_and_left_as_it_is(events, tmp_path):
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(UsageError, match="exists already; name another --out"):
        pretrain(job_of(events, tmp_path / "mine"), Watching())
    assert (tmp_path / "mine").read_text() == "mine"


def test_standard_input_is_refused(tmp_path):
    with pytest.raises(UsageError, match="reads its events several times"):
        pretrain(job_of("-", tmp_path / "base"), Watching())


def test_too_few_clicks_behind_the_cut_are_refused(events, tmp_path):
    with pytest.raises(UsageError, match="too few to keep 1% of them for validation, at least 50"):
        pretrain(job_of(events, tmp_path / "base", {"validation_share": 0.01}), Watching())


def test_a_log_without_a_click_is_refused(tmp_path):
    log = tmp_path / "items.jsonl"
    log.write_text('{"type": "item", "item": "i1", "ts": 1}\n')
    with pytest.raises(NoUsableEventError, match="1 records and no click among them"):
        pretrain(job_of(log, tmp_path / "base"), Watching())


def test_a_tail_of_which_nothing_can_be_judged_is_refused(tmp_path):
    log = tmp_path / "log.jsonl"
    rows = [{"user": f"u{n % 2}", "item": f"i{n // 2 % 4}", "ts": n * 1000} for n in range(300)]
    log.write_text("".join(json.dumps(row) + "\n" for row in rows))
    job = job_of(log, tmp_path / "base", ranking={"exclude_seen": True})
    with pytest.raises(UsageError, match=r"none of the last \d+ clicks can be judged"):
        pretrain(job, Watching())
