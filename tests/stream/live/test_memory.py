import sys

import psutil
import pytest

from stream.live.memory import FreedMemory


def test_memory_is_given_back_once_a_minute():
    now_s, given_back_s = [0.0], []
    memory = FreedMemory(lambda: now_s[0], lambda: given_back_s.append(now_s[0]))
    for second in range(200):
        now_s[0] = float(second)
        memory.step()
    assert given_back_s == [60.0, 120.0, 180.0]


@pytest.mark.skipif(sys.platform != "linux", reason="glibc is Linux'")
def test_by_default_the_process_shrinks():
    now_s = [0.0]
    memory = FreedMemory(lambda: now_s[0])
    # Small enough to come from the heap, with the last one left to hold the heap's end.
    blocks = [bytearray(50_000) for _ in range(2_000)]
    del blocks[:-1]
    before = psutil.Process().memory_info().rss
    now_s[0] = 61.0
    memory.step()
    assert psutil.Process().memory_info().rss < before - 50_000_000
