"""Killed at any instant: whatever lies on the disk then, and whichever checkpoint is gone on from.

The system tells of each step on the file system before it is done (Python's audit events). At
each of them the folder is copied: that is what a process killed there leaves behind.
"""

import shutil
import sys
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stream.errors import SinkError
from stream.sinks.jsonl import JsonlSink
from stream.sinks.segments import FilesConfig

_STEPS = {"open", "os.rename", "os.remove"}


class _Watcher:
    """Calls `before_step` with each step in `folder`; an audit hook is there for good."""

    def __init__(self) -> None:
        self.folder = None
        self.before_step = None
        sys.addaudithook(self._hear)

    def _hear(self, event, args):
        if self.before_step is None or event not in _STEPS:
            return
        if not str(args[0]).startswith(f"{self.folder}/"):
            return
        before_step, self.before_step = self.before_step, None
        try:
            before_step()
        finally:
            self.before_step = before_step


_WATCHER = _Watcher()


class _Run:
    """A sink that writes lines by their number, is flushed now and then, and may be watched."""

    def __init__(self, folder, lengths, files):
        self.folder = folder
        self.lengths = lengths
        self.files = files
        self.states = []
        """What checkpoints hold: the number of the next line, and the state."""
        self.instants = []
        """A copy of the folder, and how many checkpoints there were."""

    def go(self, flushes, start=None):
        sink = JsonlSink(self.folder / "m.jsonl", encode=self._line, files=self.files)
        first = 0
        if start is not None:
            first, state = start
            sink.load_state_dict(dict(state))
        for number in range(first, len(self.lengths)):
            sink.write({"number": number})
            if number in flushes:
                sink.flush()
                self.states.append((number + 1, sink.state_dict()))
        sink.close()
        return sink.state_dict()

    def watched(self, flushes, start=None):
        copies = self.folder.parent / f"{self.folder.name}-instants"
        copies.mkdir()

        def copy():
            instant = copies / str(len(self.instants))
            shutil.copytree(self.folder, instant)
            self.instants.append((instant, len(self.states)))

        _WATCHER.folder, _WATCHER.before_step = self.folder, copy
        try:
            self.go(flushes, start)
        finally:
            _WATCHER.before_step = None
        copy()

    def _line(self, record):
        number = record["number"]
        return b"%d " % number + b"x" * self.lengths[number]


def files_in(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@settings(max_examples=15, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 30), min_size=1, max_size=25),
    flushes=st.sets(st.integers(0, 25), max_size=5),
    segments=st.none() | st.integers(2, 4),
)
@example(lengths=[20] * 15, flushes={0, 4, 9}, segments=2)
@example(lengths=[20] * 15, flushes={0}, segments=None)
def test_every_instant_and_every_checkpoint_lead_to_the_files_of_an_unbroken_run(
    tmp_path_factory, lengths, flushes, segments
):
    home = tmp_path_factory.mktemp("run")
    max_bytes = None if segments is None else segments * 60
    files = FilesConfig.model_construct(segment_bytes=60, max_bytes=max_bytes)
    run = made(home / "unbroken", lengths, files)
    run.watched(flushes)
    unbroken = files_in(run.folder)
    for instant, n_states in run.instants:
        for number in range(n_states):
            folder = home / "resumed"
            shutil.copytree(instant, folder)
            resumed = _Run(folder, lengths, files)
            resumed.go(set(), run.states[number])
            assert files_in(folder) == unbroken, (instant.name, number)
            shutil.rmtree(folder)


@pytest.mark.parametrize("segments", [2, 3, None])
def test_a_resume_that_is_killed_too_leads_there_as_well(tmp_path, segments):
    max_bytes = None if segments is None else segments * 60
    files = FilesConfig.model_construct(segment_bytes=60, max_bytes=max_bytes)
    lengths, flushes = [20, 3, 40] * 4, {0, 3, 8}
    run = made(tmp_path / "unbroken", lengths, files)
    run.go(flushes)
    unbroken = files_in(run.folder)
    for number, start in enumerate(run.states):
        folder = tmp_path / f"resumed-{number}"
        shutil.copytree(run.folder, folder)
        resumed = _Run(folder, lengths, files)
        resumed.states = run.states[: number + 1]  # the newer ones were damaged
        resumed.watched(flushes, start)
        for instant, n_states in resumed.instants:
            for known in range(n_states):
                again = tmp_path / "again"
                shutil.copytree(instant, again)
                _Run(again, lengths, files).go(set(), resumed.states[known])
                assert files_in(again) == unbroken, (start, instant.name, known)
                shutil.rmtree(again)


def test_a_newer_checkpoint_that_can_be_read_again_is_refused_rather_than_misread(tmp_path):
    files = FilesConfig.model_construct(segment_bytes=60, max_bytes=None)
    lengths, flushes = [41] * 10 + [40] * 2, {2, 5, 6, 7, 8}  # lines of one length
    run = made(tmp_path / "unbroken", lengths, files)
    run.go(flushes)
    unbroken = files_in(run.folder)
    back = made(tmp_path / "back", lengths, files)
    shutil.copytree(run.folder, back.folder, dirs_exist_ok=True)
    back.watched(set(), run.states[0])
    n_refused = 0
    for instant, _ in back.instants:
        for start in run.states[1:]:
            again = tmp_path / "again"
            shutil.copytree(instant, again)
            try:
                _Run(again, lengths, files).go(set(), start)
            except SinkError:
                n_refused += 1
            else:
                assert files_in(again) == unbroken, (start, instant.name)
            shutil.rmtree(again)
    assert n_refused


def test_the_watcher_sees_each_step_of_a_rotation(tmp_path):
    files = FilesConfig.model_construct(segment_bytes=60, max_bytes=120)
    run = made(tmp_path / "run", [50] * 4, files)
    run.watched(set())
    kinds = [sorted(files_in(instant)) for instant, _ in run.instants]
    assert ["m.000000.jsonl"] in kinds  # put away, and the next one not begun
    assert ["m.000000.jsonl", "m.000001.jsonl", "m.jsonl"] in kinds  # not dropped yet
    assert ["m.000001.jsonl", "m.jsonl"] in kinds


def made(folder: Path, lengths, files) -> _Run:
    folder.mkdir()
    return _Run(folder, lengths, files)
