"""Bad input: the message that names the place and the remedy, and the good rows that arrive."""

import csv
import os
import resource
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from job_harness import manifest, record, text, vectors, without_content

from encoder_job.readers import base, files

_HEADER = "object_id,customer_id,source_reference,object_created_at,content"


def _csv(path: Path, *lines: bytes) -> Path:
    path.write_bytes(b"\n".join([_HEADER.encode(), *lines]) + b"\n")
    return path


def _reasons(job) -> list[tuple]:
    found = [(row["object_id"], row["reason"]) for row in job.rows("encoding_failures")]
    return sorted(found, key=str)


@pytest.mark.parametrize(
    "column", ["object_id", "customer_id", "source_reference", "object_created_at", "content"]
)
@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_manifest_without_a_column_is_refused(job, tmp_path, column, kind):
    entry = record(1)
    del entry[column]
    path = tmp_path / f"objects.{kind}"
    if kind == "csv":
        path.write_text(",".join(entry) + "\n" + ",".join(entry.values()) + "\n")
    elif kind == "jsonl":
        manifest(path, [entry])
    else:
        pq.write_table(pa.Table.from_pylist([entry]), path)
    done = job.run(path)
    assert done.exit_code == 2
    assert f"source objects.{kind}: the column {column}" in done.stderr
    assert "is missing; a source has object_id, customer_id" in done.stderr
    assert not job.landing.exists()


def test_a_missing_or_unknown_source_is_refused(job, tmp_path):
    done = job.run(tmp_path / "nothing.csv")
    assert done.exit_code == 2
    assert "nothing.csv: there is no such file or folder; check the path" in done.stderr
    (tmp_path / "empty").mkdir()
    assert "holds no manifest; give one of .parquet" in job.run(tmp_path / "empty").stderr
    (tmp_path / "objects.xlsx").write_bytes(b"x")
    assert "is no manifest; give one of .parquet" in job.run(tmp_path / "objects.xlsx").stderr
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 this is none PAR1")
    assert "is no Parquet file" in job.run(tmp_path / "broken.parquet").stderr
    assert not job.landing.exists()


@pytest.mark.parametrize(
    "lines",
    [
        [b'2,c,r,2026-07-02,"open by Ann'],
        [
            b'2,c,r,2026-07-02,"He said \\"hi\\" to me',
            b'I live in Paris, my name is Ann, call me, at night, please"',
        ],
    ],
)
def test_a_quote_that_is_not_closed_where_it_should_be_joins_no_texts(job, tmp_path, lines):
    fine = [b"%d,c,r,2026-07-02,fine" % number for number in (1, 3)]
    done = job.run(_csv(tmp_path / "o.csv", fine[0], *lines, fine[1]))
    assert done.exit_code == 2
    assert "o.csv: row 2 has a quotation mark that is never closed, or closed before" in done.stderr
    assert "Ann" not in done.output
    assert not job.landing.exists()


def test_an_unclosed_quote_takes_no_memory_for_the_rest_of_the_file(job, tmp_path):
    rows = [b"%d,c,r,2026-07-02,x" % number for number in range(3, 2_000)]
    path = _csv(tmp_path / "o.csv", b"1,c,r,2026-07-02,fine", b'2,c,r,2026-07-02,"open', *rows)
    usual = csv.field_size_limit(1_000)
    try:
        done = job.run(path)
    finally:
        csv.field_size_limit(usual)
    assert usual == 100_000_000
    assert done.exit_code == 2
    assert "row 2 has a quotation mark that is never closed" in done.stderr


@pytest.mark.parametrize(
    "line", [b"2,c,r,2026-07-02," + b"x" * 5_000, b'2,c,r,2026-07-02,"x\n' + b"x" * 5_000 + b'"']
)
def test_a_line_that_would_fill_the_memory_joins_no_texts(job, tmp_path, monkeypatch, line):
    monkeypatch.setattr(files, "_LINE_BYTES", 1_000)
    rows = [b'%d,c,r,2026-07-02,"x"' % number for number in (3, 4, 5)]
    done = job.run(_csv(tmp_path / "o.csv", b"1,c,r,2026-07-02,fine", line, *rows))
    assert done.exit_code == 2
    assert "the rows after it cannot be told apart" in done.stderr
    assert not job.landing.exists()


def test_a_store_whose_files_can_only_read_is_read(job, tmp_path, monkeypatch):
    source = manifest(tmp_path / "objects.jsonl", [record(1), record(2)])

    class OnlyReads:
        def __init__(self, file):
            self.read, self.close = file.read, file.close

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.close()

    opened = files._File._open
    monkeypatch.setattr(files._File, "_open", lambda self: OnlyReads(opened(self)))
    assert job.run(source).exit_code == 0
    assert len(job.rows("embedding_events")) == 2


def test_a_line_that_would_fill_the_memory_is_a_row_of_its_own(job, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_LINE_BYTES", 1_000)
    source = manifest(tmp_path / "objects.jsonl", [record(1), record(2, "x" * 5_000), record(3)])
    assert job.run(source).exit_code == 3
    assert sorted(row["object_id"] for row in job.rows("embedding_events")) == [
        *("object-1", "object-3"),
    ]
    assert _reasons(job) == [(None, "malformed_row")]


def test_a_manifest_may_be_called_anything(job, tmp_path):
    called = os.fsdecode(b"gr\xf6sse.jsonl")
    source = manifest(tmp_path / called, [record(1), record(2, object_created_at="yesterday")])
    command = Path(sys.executable).with_name("encoder-job")
    folders = ("--landing", job.landing, "--project-dir", job.folder)
    done = subprocess.run(
        [command, "run", "--source", os.fsencode(source), *folders],
        env=os.environ | {"LC_ALL": "C.UTF-8"},
        capture_output=True,
    )
    assert done.returncode == 3, done.stderr
    assert b"gr\\udcf6sse.jsonl row 2" in done.stderr
    assert len(job.rows("embedding_events")) == 1


def test_a_failure_that_names_an_object_says_whose_it_is(job, tmp_path):
    source = manifest(tmp_path / "objects.jsonl", [record(1, object_version=True), record(2)])
    assert job.run(source).exit_code == 3
    (failure,) = job.rows("encoding_failures")
    assert (failure["object_id"], failure["customer_id"], failure["reason"]) == (
        *("object-1", "customer-1", "invalid_object_version"),
    )


def test_a_content_is_measured_in_bytes(job, tmp_path, monkeypatch):
    monkeypatch.setattr(base, "MOST_BYTES", 90)
    source = manifest(tmp_path / "objects.jsonl", [record(1, "é" * 50), record(2, "e" * 90)])
    assert job.run(source).exit_code == 3
    assert _reasons(job) == [("object-1", "content_too_large")]


def test_each_bad_row_fails_alone_with_its_reason(job, tmp_path):
    path = _csv(
        tmp_path / "objects.csv",
        b"1,c,r,2026-07-02,the good one",
        b"2,c,r,2026-07-02,",
        b"3,c,r,2026-07-02,   ",
        b"4,c,r,2026-07-02,caf\xe9",
        b"5,c,r,yesterday,text",
        b",c,r,2026-07-02,text",
        b"7,,r,2026-07-02,text",
        b"8,c,r,,text",
        b"9,c,r,2026-07-02,text,too,many",
        b"10,c,r,2026-07-02,caf\xc3\xa9 is good too",
        b"11,c,r,2062-07-02,from a year with a slip of the pen",
    )
    done = job.run(path)
    assert done.exit_code == 3
    assert _reasons(job) == sorted(
        [
            ("2", "empty_content"),
            ("3", "empty_content"),
            ("4", "invalid_utf8"),
            ("5", "invalid_object_created_at"),
            (None, "missing_object_id"),
            ("7", "missing_customer_id"),
            ("8", "missing_object_created_at"),
            ("11", "in_the_future"),
            (None, "malformed_row"),
        ],
        key=str,
    )
    assert "objects.csv row 2: empty_content: there is nothing to encode" in done.stderr
    assert "objects.csv row 4: invalid_utf8: a value is not valid UTF-8" in done.stderr
    assert "objects.csv row 9: malformed_row" in done.stderr
    assert {row["object_id"] for row in job.rows("embedding_events")} == {"1", "10"}
    # an empty text was read, so that its object is known
    assert {row["object_id"] for row in job.rows("object_events")} == {"1", "2", "3", "10"}


def test_bad_rows_of_json_lines(job, tmp_path):
    path = tmp_path / "objects.jsonl"
    manifest(
        path,
        [
            record(1),
            record(2, content=5),
            record(3, object_created_at=1751450000),
            record(4, object_version=True),
            record(5, "\ud800".encode("utf-8", "surrogatepass").decode("utf-8", "replace")),
            record(6) | {"content": None},
            record(7, object_created_at="0001-01-01T00:00:00+14:00"),
            record(10, landed_at="2026-07-02T09:59:59"),
            record(11, landed_at="2026-07-02T13:00:00+03:00"),
        ],
    )
    with path.open("ab") as file:
        file.write(b'{"object_id": "object-8", "content": "caf\xe9", "customer_id": "c",')
        file.write(b'"source_reference": "r", "object_created_at": "2026-07-02"}\n')
        file.write(b'{"object_id": "object-9", "content": "\\ud800", "customer_id": "c",')
        file.write(b'"source_reference": "r", "object_created_at": "2026-07-02"}\n')
        file.write(b"no json at all\n[1, 2]\n")
    done = job.run(path)
    assert done.exit_code == 3
    assert _reasons(job) == sorted(
        [
            ("object-2", "invalid_content"),
            ("object-3", "invalid_object_created_at"),
            ("object-4", "invalid_object_version"),
            ("object-6", "missing_content"),
            ("object-7", "invalid_object_created_at"),
            ("object-8", "invalid_utf8"),
            ("object-9", "invalid_utf8"),
            ("object-10", "known_before_it_happened"),
            (None, "malformed_row"),
        ],
        key=str,
    )
    assert "objects.jsonl row 13: malformed_row" in done.stderr
    landed = {row["object_id"] for row in job.rows("embedding_events")}
    assert landed == {"object-1", "object-5", "object-11"}


def test_bad_rows_and_types_of_parquet(job, tmp_path):
    table = pa.Table.from_pylist([record(1), record(2)])
    odd = pa.array([b"fine", b"caf\xe9"], pa.binary()).view(pa.string())
    path = tmp_path / "objects.parquet"
    pq.write_table(table.set_column(4, "content", odd), path)
    assert job.run(path).exit_code == 3
    assert _reasons(job) == [("object-2", "invalid_utf8")]
    pq.write_table(table.set_column(0, "object_id", pa.array([1.5, 2.5])), path)
    done = job.run(path)
    assert done.exit_code == 2
    assert "the column object_id is of type double; it must hold texts" in done.stderr
    far = pa.array([2**62, 0], pa.int64()).view(pa.timestamp("us"))
    pq.write_table(table.set_column(3, "object_created_at", far), path)
    assert "row 1: invalid_object_created_at" in job.run(path).stderr


def test_repeats_duplicates_and_changed_contents(job, tmp_path):
    records = [
        record(1),
        record(1),
        record(1, customer_id="another"),
        record(1, "other words"),
        record(1, "other words", object_version="2", object_created_at="2026-07-03"),
        record(1, "no order", object_version="3"),
        # loaded in one night, but made one after the other
        record(2, landed_at="2026-07-05"),
        record(
            2, "newer", object_version="2", landed_at="2026-07-05", object_created_at="2026-07-03"
        ),
    ]
    done = job.run(manifest(tmp_path / "objects.jsonl", records))
    assert done.exit_code == 3
    assert "1 exact repeats, 0 erased, 3 rows failed" in done.stdout
    assert _reasons(job) == [
        ("object-1", "content_changed"),
        ("object-1", "duplicate_object"),
        ("object-1", "version_without_time"),
    ]
    assert "row 3: duplicate_object: the same id and version with other metadata" in done.stderr
    assert "row 4: content_changed: other content under the same version" in done.stderr
    assert "row 6: version_without_time: another version came into being at that" in done.stderr
    assert len(job.rows("object_events")) == len(vectors(job.landing)) == 4


def test_content_that_changed_since_it_landed_is_a_failure_once(job, tmp_path):
    job.run(manifest(tmp_path / "objects.jsonl", [record(1), record(2)]))
    before = vectors(job.landing)
    records = [record(1, "other words"), record(2), record(2, "new words", object_version="2")]
    source = manifest(tmp_path / "objects.jsonl", records)
    for _ in range(2):
        assert job.run(source).exit_code == 3
    assert _reasons(job) == [
        ("object-1", "content_changed"),
        ("object-2", "version_without_time"),
    ]
    assert vectors(job.landing) == before


def test_contents_behind_a_uri_that_fail(job, tmp_path):
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    records = [record(n) | {"content": None} for n in range(4)] + [record(4)]
    for entry, uri in zip(records, ["gone.txt", "latin.txt", "folder", "pipe"], strict=False):
        entry["content_uri"] = uri
    assert job.run(manifest(tmp_path / "objects.jsonl", records)).exit_code == 3
    assert _reasons(job) == [
        ("object-0", "content_missing"),
        ("object-1", "invalid_utf8"),
        ("object-2", "content_unreadable"),
        ("object-3", "content_unreadable"),
    ]


def test_a_missing_package_is_no_fault_of_the_rows(job, tmp_path):
    records = [without_content(n, content_uri=f"s3://bucket/{n}") for n in range(120)]
    done = job.run(manifest(tmp_path / "objects.jsonl", [*records[:20], record(200), *records]))
    assert done.exit_code == 2
    assert "row 121: this content and the 99 before it could not be opened (Install s3fs" in (
        done.stderr
    )
    assert len(job.rows("embedding_events")) == 1
    assert "Install s3fs" in job.run("s3://bucket/objects.jsonl").stderr
    assert "Install s3fs" in job.run(tmp_path / "objects.jsonl", landing="s3://bucket").stderr


def test_a_text_of_100000_words_is_cut_and_counted(job, tmp_path):
    source = manifest(tmp_path / "objects.jsonl", [record(1, text(100_000)), record(2)])
    done = job.run(source)
    assert done.exit_code == 0
    assert "(texts cut to the encoder's length: 1)" in done.stdout
    events = {row["object_id"]: row for row in job.rows("embedding_events")}
    assert events["object-1"]["is_truncated"]
    assert events["object-1"]["token_count"] == 64
    assert not events["object-2"]["is_truncated"]


def test_a_broken_landed_part_is_named(job, tmp_path):
    source = manifest(tmp_path / "objects.jsonl", [record(1), record(2)])
    job.run(source)
    before = vectors(job.landing)
    (part,) = (job.landing / "embedding_events").glob("part-*")
    part.write_bytes(part.read_bytes()[:-100])
    done = job.run(source)
    assert done.exit_code == 2
    assert f"embedding_events/{part.name}: this part is broken" in done.stderr
    assert "remove the file and run again" in done.stderr
    part.unlink()
    assert job.run(source).exit_code == 0
    assert vectors(job.landing) == before


def test_a_landing_that_is_a_file_is_refused(job, tmp_path):
    (tmp_path / "file").write_text("")
    source = manifest(tmp_path / "objects.jsonl", [record(1)])
    done = job.run(source, landing=tmp_path / "file")
    assert done.exit_code == 2
    assert "is no folder; give another --landing" in done.stderr


@pytest.mark.parametrize("limit", [0, 8000])
def test_a_full_landing_is_refused_and_continued(job, tmp_path, limit):
    """Real errors of the operating system, by a limit on the size of files."""
    source = manifest(tmp_path / "objects.jsonl", [record(n) for n in range(200)])
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        done = job.run(source)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert done.exit_code == 2
    assert "is full; make room and run the same command again" in done.stderr
    assert not list(job.landing.rglob(".*.part"))
    assert job.run(source).exit_code == 0
    assert len(vectors(job.landing)) == 200


_AS_NOBODY = """
import os, sys
from encoder_job.landing.folder import FolderLanding
from encoder_job.errors import guarded
import typer
if os.geteuid() == 0:
    os.setuid(65534)
try:
    guarded(lambda: FolderLanding(sys.argv[1]).ensure_tables())()
except typer.Exit as end:
    sys.exit(end.exit_code)
"""


def test_a_read_only_landing_is_refused(tmp_path):
    landing = tmp_path / "landing"
    landing.mkdir()
    landing.chmod(0o555)
    for folder in [tmp_path, *tmp_path.parents]:
        if folder.stat().st_uid == os.getuid() and str(folder).count("/") > 1:
            folder.chmod(folder.stat().st_mode | 0o011)
    command = [sys.executable, "-c", _AS_NOBODY, str(landing)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "is read-only for this user; allow writing, or give another --landing" in done.stderr
    assert not list(landing.iterdir())


@pytest.mark.parametrize(("key", "told"), [("", "is not set"), ("short", "fewer than 16 bytes")])
def test_no_key_no_run(job, tmp_path, monkeypatch, key, told):
    monkeypatch.setenv("EMBEDDING_STORE_CONTENT_KEY", key)
    done = job.run(manifest(tmp_path / "objects.jsonl", [record(1)]))
    assert done.exit_code == 2
    assert told in done.stderr
    assert "openssl rand -hex 32" in done.stderr
    assert not job.landing.exists()


def test_a_wrong_option_is_a_usage_error(job):
    done = job("run", "--sauce", "x")
    assert done.exit_code == 2
    assert "No such option: --sauce" in done.stderr
