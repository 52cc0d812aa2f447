import os

import pytest

from stream.errors import CheckpointError
from stream.folder_lock import held


def test_a_folder_that_is_held_is_refused_by_the_process_that_holds_it(tmp_path):
    path = tmp_path / "run" / "run.lock"
    with held(path, "name another"):
        assert path.read_text() == f"{os.getpid()}\n"
        told = rf"run is in use by process {os.getpid()}; stop that run, or name another"
        with pytest.raises(CheckpointError, match=told), held(path, "name another"):
            pass
    with held(path, "name another"):
        pass


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(CheckpointError, match=r"file cannot be used: .*, or name another"),
        held(tmp_path / "file" / "run.lock", "name another"),
    ):
        pass
