"""Fifty markers are planted in texts, file names, EXIF blocks and a database; none gets out."""

import io
import json
import os
import sqlite3
import subprocess
import sys
from itertools import count
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from job_harness import Job, record, said, without_content
from PIL import Image, PngImagePlugin
from test_job_images import picture

from encoder_job.errors import REASONS

_EXIF_TEXTS = (0x010E, 0x013B, 0x8298)  # description, artist, copyright
# the real command line, where what prepares a marked content fails every other time, and tells it
_TELLTALE = """
import logging, os, warnings
from encoder_job import cli
from encoder_job.encoders import images, sentence_transformer

class Panic(BaseException):
    "As libraries in Rust raise it."

def telling(real):
    def prepare(self, contents):
        for content in contents:
            marked = content if isinstance(content, bytes) else content.encode()
            # every other one is spared, so that the ordinary way is watched too
            if b"zebra" not in marked or sum(marked) % 2:
                continue
            logging.getLogger("library").error("encoding %r", content)
            warnings.warn(f"odd: {content!r}")
            os.write(2, repr(content).encode())
            raise (ValueError if sum(marked) % 4 else Panic)(repr(content))
        return real(self, contents)
    return prepare

for kind in (sentence_transformer.Tokens, images.Preprocessing):
    kind.__call__ = telling(kind.__call__)
cli.main()
"""


class Markers:
    """Words that stand nowhere else."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self.planted: list[str] = []

    def next(self) -> str:
        """Return a new one."""
        self.planted.append(f"zebra-quartz-{next(self._numbers):04d}")
        return self.planted[-1]


def _plant_texts(folder: Path, markers: Markers) -> Path:
    folder.mkdir()
    rows = [record(n, f"a good text with {markers.next()}") for n in range(8)]
    rows += [record(n, f"other words under a known id, {markers.next()}") for n in range(3)]
    rows += [record(20 + n, markers.next(), object_created_at="no time") for n in range(2)]
    rows.append(record(30, f"{markers.next()} " * 5000))
    rows.append(record(31, markers.next(), landed_at=[markers.next()]))
    rows.append(record(32, {"nested": markers.next()}))
    for number in range(3):
        name = f"{markers.next()}.txt"
        (folder / name).write_text(f"at a path, {markers.next()}")
        rows.append(without_content(40 + number) | {"content_uri": name})
    missing = ("{}.txt", "http://127.0.0.1:9/{}", "nosuch://{}/x", "../{}", "\x00{}")
    for number, name in enumerate(missing):
        rows.append(without_content(50 + number) | {"content_uri": name.format(markers.next())})
    lines = [json.dumps(row).encode() for row in rows]
    lines.append(f"broken json {markers.next()}".encode())
    lines.append(
        json.dumps(record(60, "MARK")).encode().replace(b"MARK", markers.next().encode() + b"\xff")
    )
    (folder / "a.jsonl").write_bytes(b"\n".join(lines))
    header = "object_id,customer_id,source_reference,object_created_at,content"
    cells = f"c1,c,r,2026-07-02,{markers.next()},{markers.next()}\nc2,c,r,{markers.next()},t\n"
    (folder / "b.csv").write_text(f"{header}\n{cells}")
    table = pa.Table.from_pylist([record(70 + n, f"Parquet {markers.next()}") for n in range(2)])
    pq.write_table(table, folder / "c.parquet", compression="none")
    return folder


def _plant_images(folder: Path, markers: Markers) -> Path:
    folder.mkdir()
    rows = []
    for number, kind in enumerate(("JPEG", "PNG", "WEBP", "JPEG", "PNG", "WEBP")):
        exif, sink = Image.Exif(), io.BytesIO()
        exif[_EXIF_TEXTS[number % 3]] = markers.next()
        chunks = PngImagePlugin.PngInfo()
        chunks.add_text("Comment", "a text chunk")
        options = {"pnginfo": chunks} if kind == "PNG" else {}
        picture(number).save(sink, kind, exif=exif, **options)
        whole = sink.getvalue()
        # the last three are cut short
        name = f"{markers.next()}.{kind.lower()}"
        (folder / name).write_bytes(whole if number < 3 else whole[: len(whole) * 3 // 4])
        if number >= 3:
            (folder / f"{name}.whole").write_bytes(whole)
        rows.append(without_content(200 + number) | {"content_uri": name})
    (folder / "objects.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder / "objects.jsonl"


def _plant_rows(folder: Path, markers: Markers) -> Path:
    folder.mkdir()
    with sqlite3.connect(folder / "mails.db") as connection:
        connection.execute(
            "create table mails "
            "(object_id, customer_id, source_reference, object_created_at, content, note)"
        )
        for number in range(4):
            row = record(
                100 + number, f"in a table {markers.next()}", object_created_at="2026-07-02"
            )
            row["customer_id"] = None if number == 3 else row["customer_id"]
            values = [row[name] for name in ("object_id", "customer_id", "source_reference")]
            values += [row["object_created_at"], row["content"], markers.next()]
            connection.execute("insert into mails values (?, ?, ?, ?, ?, ?)", values)
    (folder / "objects.sql").write_text(f"select * from mails where content <> '{markers.next()}'")
    return folder / "objects.sql"


def test_no_marker_is_found_outside_its_source(job: Job, tmp_path):
    job.register_images()
    markers, sources, elsewhere = Markers(), tmp_path / "sources", tmp_path / "elsewhere"
    sources.mkdir()
    elsewhere.mkdir()
    runs = [
        (str(_plant_texts(sources / "texts", markers)), "text"),
        (str(_plant_images(sources / "images", markers)), "image"),
        (f"sql:{_plant_rows(sources / 'rows', markers)}", "text"),
    ]
    assert len(markers.planted) >= 50
    planted = said(sources)
    assert not [marker for marker in markers.planted if marker not in planted]
    environment = os.environ | {
        "EMBEDDING_STORE_SOURCE_URL": f"sqlite:///{sources / 'rows' / 'mails.db'}",
        "HOME": str(elsewhere),
        "PYTHONDEVMODE": "1",
        "PYTHONFAULTHANDLER": "1",
        "TMPDIR": str(elsewhere),
    }
    told = ""
    # a failure that is known already is told once more
    for source, modality in [*runs, runs[0]]:
        command = [sys.executable, "-c", _TELLTALE, "run"]
        command += ["--source", source, "--modality", modality]
        command += ["--log", "json" if modality == "image" else "text"]
        command += ["--landing", str(job.landing), "--project-dir", str(job.folder)]
        done = subprocess.run(
            command, capture_output=True, env=environment, cwd=elsewhere, check=False
        )
        assert done.returncode == 3, done.stderr[-2000:]
        told += (done.stdout + done.stderr).decode()
    reasons = {row["reason"] for row in job.rows("encoding_failures")}
    assert {
        "encoder_error",
        "image_unreadable",
        "malformed_row",
        "invalid_utf8",
        "content_missing",
    } <= reasons
    assert reasons <= set(REASONS)
    outside = told + said(job.folder) + said(elsewhere)
    assert [marker for marker in markers.planted if marker in outside] == []
