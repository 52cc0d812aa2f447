import numpy as np
import pytest

from stream.anchors import Anchors
from stream.catalogue import Catalogue, CatalogueConfig
from stream.checkpoint import CheckpointConfig, Checkpoints, Spared
from stream.errors import CheckpointError
from stream.notices import Moment, Notice
from tests.conformance.stateful_contract import assert_same_bits


@pytest.fixture
def checkpoints(tmp_path):
    with Checkpoints(CheckpointConfig(dir=tmp_path), "hash") as opened:
        yield opened


def anchors_of(checkpoints: Checkpoints, catalogue: Catalogue, keep: int = 3) -> Anchors:
    config = CheckpointConfig(dir=checkpoints.folder, keep_anchors=keep)
    return Anchors(config, checkpoints.load, "champion", catalogue)


def test_the_anchor_before_a_time_holds_nothing_later(checkpoints):
    anchors = anchors_of(checkpoints, Catalogue(CatalogueConfig()))
    assert anchors.newest is None
    for seq, watermark_ms in ((10, 1_000), (20, 2_000)):
        anchors.taken(seq, watermark_ms, {})
    assert anchors.newest == "anchor-000000000020"
    assert anchors.before(2_000) == "anchor-000000000020"
    assert anchors.before(1_999) == "anchor-000000000010"
    assert anchors.before(999) is None


def test_only_the_anchors_that_remain_on_disk_are_listed(checkpoints):
    anchors = anchors_of(checkpoints, Catalogue(CatalogueConfig()), keep=2)
    for seq in (1, 2, 3):
        anchors.taken(seq, seq, {})
    assert anchors.before(1) is None
    assert anchors.before(2) == "anchor-000000000002"


def test_a_row_is_the_same_unless_it_was_recycled_or_made_since(checkpoints):
    catalogue = Catalogue(CatalogueConfig(max_items=3))
    catalogue.admit(["a", "b"], [])
    state = {
        "tables": {"catalogue": catalogue.state_dict()},
        "panel": {"learners": {"champion": {"weight": np.arange(2.0)}}},
    }
    checkpoints.save(state, position={}, seq=7, events=7, kind="anchor")
    catalogue.admit(["b", "c"], [])
    catalogue.admit(["d"], [])  # takes the row of `a`
    anchors = anchors_of(checkpoints, catalogue)
    champion, is_same_V = anchors.champion_state("anchor-000000000007")
    assert champion["weight"].tolist() == [0.0, 1.0]
    assert is_same_V.tolist() == [False, True, False]


def test_an_anchor_that_is_gone_is_an_error_that_names_it(checkpoints):
    anchors = anchors_of(checkpoints, Catalogue(CatalogueConfig()))
    with pytest.raises(CheckpointError, match="anchor-000000000099"):
        anchors.champion_state("anchor-000000000099")


def test_the_list_survives(checkpoints):
    anchors = anchors_of(checkpoints, Catalogue(CatalogueConfig()))
    anchors.taken(4, 400, {"f": {"line": 90}})
    again = anchors_of(checkpoints, Catalogue(CatalogueConfig()))
    again.load_state_dict(anchors.state_dict())
    assert_same_bits(again.state_dict(), anchors.state_dict())
    assert again.before(400) == "anchor-000000000004"
    assert again.start == {"f": {"line": 90}}


def firing(seq: int) -> tuple[list[Notice], Moment]:
    return [Notice("low", "firing", 0, 0, {})], Moment(seq, 1_000 * seq, seq, {})


def test_a_range_begins_where_the_last_anchor_was_taken_and_before_it_where_the_stream_began(
    checkpoints,
):
    anchors = anchors_of(checkpoints, Catalogue(CatalogueConfig()))
    anchors.begin({"f": {"line": 7}})
    assert anchors.start == {"f": {"line": 7}}
    anchors.taken(4, 400, {"f": {"line": 90}})
    assert anchors.start == {"f": {"line": 90}}


def test_what_a_firing_notice_came_of_stays(checkpoints):
    anchors = anchors_of(checkpoints, Catalogue(CatalogueConfig()))
    anchors.keep_for(*firing(3))
    anchors.taken(4, 400, {})
    anchors.keep_for([Notice("low", "resolved", 0, 0, {})], firing(5)[1])
    assert anchors.spared(0) == (Spared(None, range(4)),)
    anchors.keep_for(*firing(6))
    assert anchors.spared(0)[1:] == (Spared("anchor-000000000004", range(4, 7)),)


def test_what_was_rolled_back_to_since_stays_too(checkpoints):
    catalogue = Catalogue(CatalogueConfig())
    state = {
        "tables": {"catalogue": catalogue.state_dict()},
        "panel": {"learners": {"champion": {}}},
    }
    checkpoints.save(state, position={}, seq=2, events=2, kind="anchor")
    anchors = anchors_of(checkpoints, catalogue)
    for seq in (2, 4):
        anchors.taken(seq, seq, {})
    anchors.champion_state("anchor-000000000002")
    anchors.keep_for(*firing(7))
    first, last = anchors.spared(0)
    assert first == Spared("anchor-000000000002", range(7, 8))
    assert last == Spared("anchor-000000000004", range(4, 8))
    anchors.taken(8, 8, {})
    anchors.keep_for(*firing(9))
    assert anchors.spared(0)[-1] == Spared("anchor-000000000008", range(8, 10))
    assert [one.anchor for one in anchors.spared(0)].count("anchor-000000000002") == 1
