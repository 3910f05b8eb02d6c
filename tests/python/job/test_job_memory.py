"""Contents that are read ahead take no more memory than a run allows."""

import threading
import time
import tracemalloc

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from job_harness import record, without_content

from encoder_job import known
from encoder_job.readers import base, files, open_source

FINGERPRINT = "f" * 32


def _beside(uri: str) -> tuple[None, str]:
    return None, uri


@pytest.mark.parametrize(("size", "memory", "most_ahead"), [(900, 3_000, 3), (10, 10_000, 33)])
def test_large_contents_are_fetched_few_at_a_time_and_small_ones_many(
    monkeypatch, size, memory, most_ahead
):
    monkeypatch.setattr(base, "MOST_BYTES", 1_000)
    held, peaks, lock = 0, [], threading.Lock()

    def fetch(*_: object) -> bytes:
        nonlocal held
        with lock:
            held += 1
            peaks.append(held)
        return b"x" * size

    monkeypatch.setattr(base, "read_at_most", fetch)
    parse = base.RowParser("text", memory)
    records = (
        base.Record(f"row {n}", without_content(n, content_uri=f"{n}.txt")) for n in range(200)
    )
    for row in parse(records, lambda *_: True, _beside):
        assert row.fault is None
        assert len(row.content) == size
        with lock:
            held -= 1
    assert len(peaks) == 200
    assert max(peaks) <= most_ahead + 1
    assert max(peaks) > most_ahead / 5


def test_a_store_that_takes_its_time_holds_nobody_up(monkeypatch):
    """Whoever reads rows hears that none is there yet, and may leave."""
    asked = threading.Event()
    answers = threading.Event()

    def fetch(*_: object) -> bytes:
        asked.set()
        answers.wait(60)
        return b"a text"

    monkeypatch.setattr(base, "read_at_most", fetch)
    records = [base.Record(f"row {n}", without_content(n, content_uri="x.txt")) for n in range(2)]
    rows = base.RowParser("text", 10**9)(records, lambda *_: True, _beside)
    assert next(rows) is None
    assert asked.is_set()
    answers.set()
    assert [row.content for row in rows if row] == ["a text", "a text"]

    answers.clear()
    rows = base.RowParser("text", 10**9)(records, lambda *_: True, _beside)
    assert next(rows) is None
    left = time.monotonic()
    rows.close()
    assert time.monotonic() - left < 5
    answers.set()


def test_rows_of_a_file_are_read_by_what_they_take(tmp_path, monkeypatch):
    path = tmp_path / "objects.parquet"
    rows = [record(n, "".join(chr(97 + (n * k) % 23) for k in range(2_000))) for n in range(100)]
    pq.write_table(pa.Table.from_pylist(rows), path, compression="none", use_dictionary=False)
    sizes, plain = [], files._plain
    monkeypatch.setattr(files, "_plain", lambda column: sizes.append(len(column)) or plain(column))
    for memory, most in [(10**9, 32), (40_000, 4), (40, 1)]:
        sizes.clear()
        found = list(open_source(str(path), "text", memory).rows(lambda *_: True))
        assert [row.content for row in found] == [row["content"] for row in rows]
        assert max(sizes) == most


def test_the_least_memory_is_told(job, tmp_path):
    done = job("run", "--source", str(tmp_path), "--memory-mb", "10")
    assert done.exit_code == 2
    assert "200" in done.output


class _Landing:
    """A landing of many objects, a batch at a time."""

    def read(self, _table, columns):
        for start in range(0, 50_000, 5_000):
            ids = [str(n) for n in range(start, start + 5_000)]
            yield {name: [FINGERPRINT] * 5_000 for name in columns} | {"event_id": ids}


def test_what_has_landed_is_not_held(monkeypatch):
    monkeypatch.setattr(known, "_CACHE_KB", 100)
    tracemalloc.start()
    found = known.Known(_Landing(), "an encoder", FINGERPRINT)
    # what SQLite holds is bounded by its own setting, and not traced
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 1_000_000
    assert found.has_event("49999")
    assert not found.has_event("50000")
