from stream.delivery.queue_file import Done, Head, Put, QueueFile, encoded, last_seq
from tests.transitions import transition


def put_of(seq):
    return Put(seq, transition("low", "firing", seq), seq, "alert:low:firing")


def test_lines_come_back_as_they_were_written(tmp_path):
    file = QueueFile(tmp_path / "pager.queue")
    lines = [Head("r1", -1, [], 0), put_of(3), Done(3, 99)]
    file.replace(lines[:1])
    file.append(*map(encoded, lines[1:]))
    file.close()
    assert QueueFile(tmp_path / "pager.queue").read() == (lines, 0)


def test_a_file_that_is_not_there_holds_nothing(tmp_path):
    assert QueueFile(tmp_path / "pager.queue").read() == ([], 0)


def test_half_a_line_at_the_end_is_no_damage(tmp_path):
    path = tmp_path / "pager.queue"
    path.write_bytes(encoded(Done(1, 2)) + encoded(Done(2, 3))[:-5])
    assert QueueFile(path).read() == ([Done(1, 2)], 0)


def test_what_is_no_line_amid_the_file_is_counted(tmp_path):
    path = tmp_path / "pager.queue"
    path.write_bytes(encoded(Done(1, 2)) + b"\xff\xfe\n" + encoded(Done(2, 3)))
    assert QueueFile(path).read() == ([Done(1, 2), Done(2, 3)], 1)


def test_the_last_batch_a_queue_has_taken_is_known(tmp_path):
    path = tmp_path / "pager.queue"
    path.write_bytes(encoded(Head("r1", 3, [], 0)) + encoded(put_of(7)))
    assert last_seq(path) == 7


def test_a_queue_that_has_taken_no_notice_says_so(tmp_path):
    path = tmp_path / "pager.queue"
    path.write_bytes(encoded(Head("r1", -1, [], 0)))
    assert last_seq(path) is None
