"""Contents that lie elsewhere are fetched when they are wanted, and files are read page by page."""

import io
import random
import tarfile
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from job_harness import manifest, record, rows, vectors, without_content

from encoder_job.readers import base, files, open_source, shards
from encoder_job.storage import read_at_most


@pytest.fixture
def fetched(monkeypatch) -> list[str]:
    """The paths of all contents that are fetched."""
    read, paths = base.read_at_most, []
    monkeypatch.setattr(
        base, "read_at_most", lambda fs, path, most: paths.append(path) or read(fs, path, most)
    )
    return paths


def _beside(folder, numbers) -> list[dict]:
    for number in numbers:
        (folder / f"{number}.txt").write_text(f"the parcel {number} came early")
    return [without_content(number, content_uri=f"{number}.txt") for number in numbers]


def test_what_has_landed_or_was_erased_is_not_fetched(job, tmp_path, fetched):
    source = manifest(tmp_path / "objects.jsonl", _beside(tmp_path, range(10)))
    assert job.run(source).exit_code == 0
    assert len(fetched) == 10
    fetched.clear()
    request = {
        "event_id": "a request",
        "scope": "object",
        "subject_id": "object-11",
        "requested_at": "2026-07-03",
    }
    pq.write_table(
        pa.Table.from_pylist([request]), job.landing / "erasure_requests" / "part-1.parquet"
    )
    manifest(source, _beside(tmp_path, range(13)))
    done = job.run(source)
    assert done.exit_code == 0
    assert "10 were there already" in done.stdout
    assert "1 erased" in done.stdout
    assert sorted(path.rpartition("/")[2] for path in fetched) == ["10.txt", "12.txt"]
    assert len(vectors(job.landing)) == 12


def test_contents_of_one_archive_are_not_mixed_up(job, tmp_path):
    folder = tmp_path / "objects"
    folder.mkdir()
    manifest(folder / "objects.jsonl", _beside(folder, range(200)))
    assert job.run(folder / "objects.jsonl").exit_code == 0
    with tarfile.open(tmp_path / "objects.tar", "w") as archive:
        archive.add(folder, arcname="")
    done = job.run(
        f"tar://objects.jsonl::{tmp_path / 'objects.tar'}", landing=tmp_path / "of the archive"
    )
    assert done.exit_code == 0, done.output
    macs = [
        {row["object_id"]: row["content_mac"] for row in rows(landing, "object_events")}
        for landing in (job.landing, tmp_path / "of the archive")
    ]
    assert macs[0] == macs[1]
    assert len(macs[0]) == 200


def test_a_store_that_does_not_answer_stops_the_run(job, tmp_path, monkeypatch):
    monkeypatch.setattr(base, "_MOST_UNREADABLE", 20)
    records = _beside(tmp_path, range(60))
    source = manifest(tmp_path / "objects.jsonl", records)
    read = base.read_at_most

    def expired(fs, path, most):
        if int(path.rpartition("/")[2].removesuffix(".txt")) >= 30:
            raise PermissionError("the token is no longer valid")
        return read(fs, path, most)

    with monkeypatch.context() as broken:
        broken.setattr(base, "read_at_most", expired)
        done = job.run(source)
    assert done.exit_code == 2
    assert "objects.jsonl row 50: this content and the 19 before it" in done.stderr
    assert "token" not in done.output
    assert len(vectors(job.landing)) == 30
    assert job.run(source).exit_code == 0
    assert len(vectors(job.landing)) == 60


class _Web(BaseHTTPRequestHandler):
    """Serves `/text/<words>` without telling how long it is; other paths name the answer's status."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        kind, _, number = self.path.strip("/").partition("/")
        self.send_response(200 if kind == "text" else int(kind))
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for word in range(int(number)):
            piece = f"word-{word} ".encode()
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            time.sleep(0.01)
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_):
        pass


@pytest.fixture
def web():
    """The address of a web server."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Web) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_content_of_unknown_length_is_read_to_its_end(job, tmp_path, web):
    records = [without_content(n, content_uri=f"{web}/text/{n + 20}") for n in range(3)]
    assert job.run(manifest(tmp_path / "objects.jsonl", records)).exit_code == 0
    lengths = sorted(row["content_length"] for row in job.rows("object_events"))
    assert lengths == [len("".join(f"word-{word} " for word in range(n + 20))) for n in range(3)]


def test_a_web_server_that_refuses_stops_the_run(job, tmp_path, web, monkeypatch):
    monkeypatch.setattr(base, "_MOST_UNREADABLE", 5)
    paths = [f"{web}/{path}" for path in (*["404/0", "410/0", "text/3"] * 5, *["403/0"] * 10)]
    records = [
        without_content(n, content_uri=path) for n, path in enumerate(["https:///0"] * 9 + paths)
    ]
    done = job.run(manifest(tmp_path / "objects.jsonl", records))
    assert done.exit_code == 2
    assert "row 29: this content and the 4 before it could not be opened" in done.stderr
    assert {row["reason"] for row in job.rows("encoding_failures")} == {
        "content_missing",
        "content_unreadable",
    }
    assert len(vectors(job.landing)) == 5


def test_a_web_server_that_is_down_stops_the_run(job, tmp_path, monkeypatch):
    monkeypatch.setattr(base, "_MOST_UNREADABLE", 5)
    with ThreadingHTTPServer(("127.0.0.1", 0), _Web) as server:
        nobody = f"http://127.0.0.1:{server.server_port}"
    records = [without_content(n, content_uri=f"{nobody}/text/1") for n in range(9)]
    done = job.run(manifest(tmp_path / "objects.jsonl", records))
    assert done.exit_code == 2
    assert "row 5: this content and the 4 before it" in done.stderr


def test_what_google_would_cut_off_is_not_read(monkeypatch):
    """Its files are unpacked on the way and read to their packed length; here is none, but the rule."""
    gcs, packed = fsspec.get_filesystem_class("gs"), io.BytesIO(b"the first of ma")
    store = gcs(token="anon", skip_instance_cache=True)
    for details, is_read in (({"contentEncoding": "gzip"}, False), ({}, True)):
        file = type("File", (io.BytesIO,), {"details": details})(packed.getvalue())
        monkeypatch.setattr(gcs, "open", lambda *_, file=file: file)
        if is_read:
            assert read_at_most(store, "bucket/text", 1_000) == packed.getvalue()
        else:
            with pytest.raises(ValueError, match="unpacks this file"):
                read_at_most(store, "bucket/text", 1_000)


class _Counted:
    """A file that counts what is read of it."""

    def __init__(self, file, reads: list[int]) -> None:
        self._file, self._reads = file, reads

    def __getattr__(self, name):
        return getattr(self._file, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()

    def read(self, size=-1):
        found = self._file.read(size)
        self._reads.append(len(found))
        return found


def test_a_row_group_is_not_read_at_once(tmp_path, monkeypatch):
    chance = random.Random(1)
    rows = [record(n, chance.randbytes(5_000).hex()) for n in range(4_000)]
    path = tmp_path / "objects.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path, compression="none", use_dictionary=False)
    source, reads = open_source(str(path), "text", 10**9), []
    source.check()
    opened = files._File._open
    monkeypatch.setattr(files._File, "_open", lambda self: _Counted(opened(self), reads))
    assert next(source.rows(lambda *_: True)).content == rows[0]["content"]
    assert 0 < sum(reads) < path.stat().st_size / 3


def test_a_part_that_is_scattered_over_a_file_is_read_in_one_go(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "SHARD_ROWS", 500)
    numbers = list(range(1_000))
    for name in "ab":
        table = pa.Table.from_pylist([record(n, object_version=name) for n in numbers])
        pq.write_table(table, tmp_path / f"{name}.parquet", row_group_size=100)
        random.Random(2).shuffle(numbers)
    source, opened, opening = open_source(str(tmp_path), "text", 10**9), [], files._File._open
    parts = list(source.shards())
    monkeypatch.setattr(files._File, "_open", lambda self: opened.append(self) or opening(self))
    found = [
        (row.object_id, row.object_version)
        for part in parts
        for row in source.rows_of(part, lambda *_: True)
    ]
    assert sorted(found) == sorted((f"object-{n}", name) for n in numbers for name in "ab")
    assert len(opened) <= 2 * len(parts)
