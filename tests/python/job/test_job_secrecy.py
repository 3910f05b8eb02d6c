"""Raw content stays in the source: no output, no log, no file, no exception carries it."""

import logging
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from job_harness import manifest, record, said

from encoder_job import encoders
from encoder_job.errors import REASONS

MARKER = "zebra-quartz-8151"


def _marked_source(folder: Path) -> Path:
    folder.mkdir()
    path = manifest(
        folder / "objects.jsonl",
        [
            record(1, f"a good text with {MARKER}"),
            record(1, f"a changed text with {MARKER}"),
            record(2, f"{MARKER} ", object_created_at="no time"),
            record(3, f"{MARKER} " * 5000),
        ],
    )
    with path.open("ab") as file:
        file.write(f"broken json {MARKER}\n".encode())
        file.write(f'{{"object_id": "b", "content": "{MARKER} '.encode() + b'\xff", "x":')
        file.write(
            b' 1, "customer_id": "c", "source_reference": "r", "object_created_at": "2026-07-02"}\n'
        )
    header = "object_id,customer_id,source_reference,object_created_at,content"
    rows = (
        f'c1,c,r,2026-07-02,{MARKER},{MARKER}\nc2,c,r,2026-07-02,"{MARKER}"x\nc3,c,r,{MARKER},t\n'
    )
    (folder / "more.csv").write_text(f"{header}\n{rows}")
    return folder


class _Telltale:
    """An encoder that gives the text away in every way that a library could."""

    def __init__(self, inner: encoders.Encoder) -> None:
        self._inner = inner
        self.modality, self.fingerprint = inner.modality, inner.fingerprint
        self.runtime = inner.runtime

    def encode(self, texts):
        if any(MARKER in text for text in texts):
            logging.getLogger("transformers").error("could not encode %s", texts)
            warnings.warn(f"odd text: {texts}", stacklevel=1)
            raise ValueError(f"cannot encode {texts}")
        return self._inner.encode(texts)


@pytest.mark.parametrize("is_telltale", [False, True])
def test_the_marker_is_found_nowhere_outside_the_source(
    job, tmp_path, monkeypatch, capfd, caplog, is_telltale
):
    if is_telltale:
        real = encoders.LOADERS["sentence-transformers"]
        monkeypatch.setitem(
            encoders.LOADERS, "sentence-transformers", lambda *place: _Telltale(real(*place))
        )
    source = _marked_source(tmp_path / "source")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    for _ in range(2):
        done = job.run(source)
        assert done.exit_code == 3, done.stderr
        assert MARKER not in done.output
    captured = capfd.readouterr()
    assert MARKER not in captured.out + captured.err + caplog.text
    reasons = {row["reason"] for row in job.rows("encoding_failures")}
    assert {"malformed_row", "invalid_utf8", "invalid_object_created_at"} <= reasons
    assert ("encoder_error" in reasons) == is_telltale
    assert reasons <= set(REASONS)
    assert MARKER not in said(job.folder)
    assert MARKER in said(source)


class _Panic(BaseException):
    """What a library in Rust raises."""


class _Lost:
    """An encoder that fails for good on its way, as on a device that is gone."""

    def __init__(
        self, inner: encoders.Encoder, is_lost: list[bool], error: type[BaseException]
    ) -> None:
        self._inner, self._is_lost, self._error = inner, is_lost, error
        self.modality, self.fingerprint = inner.modality, inner.fingerprint
        self.runtime = inner.runtime

    def encode(self, texts):
        self._is_lost[0] |= any(MARKER in text for text in texts)
        if self._is_lost[0]:
            raise self._error(f"the device is gone at {texts}")
        return self._inner.encode(texts)


@pytest.mark.parametrize("error", [RuntimeError, _Panic])
def test_no_content_is_blamed_for_an_encoder_that_fails_on_all(job, tmp_path, monkeypatch, error):
    real, is_lost = encoders.LOADERS["sentence-transformers"], [False]
    monkeypatch.setitem(
        encoders.LOADERS,
        "sentence-transformers",
        lambda *place: _Lost(real(*place), is_lost, error),
    )
    records = [record(n, f"text {n}") for n in range(300)]
    records[270]["content"] += MARKER
    source = manifest(tmp_path / "objects.jsonl", records)
    done = job.run(source)
    assert done.exit_code == 2
    assert f"not even on a public content ({error.__name__})" in done.stderr
    assert MARKER not in done.output
    assert not job.rows("encoding_failures")
    assert 0 < len(job.rows("embedding_events")) < 300

    monkeypatch.setitem(encoders.LOADERS, "sentence-transformers", real)
    assert job.run(source).exit_code == 0
    assert len(job.rows("embedding_events")) == 300
    assert not job.rows("encoding_failures")


def test_an_unexpected_error_shows_its_type_only(job, tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError(f"failed at {MARKER}")

    monkeypatch.setattr("encoder_job.runner.Runner._gather", fail)
    done = job.run(manifest(tmp_path / "objects.jsonl", [record(1, MARKER)]))
    assert done.exit_code == 1
    assert "unexpected RuntimeError at test_job_secrecy.py" in done.stderr
    assert MARKER not in done.output


def test_a_whole_process_says_nothing_either(job, tmp_path):
    """The real command line, with an encoder that raises what it was given, in debug mode."""
    code = (
        "import logging, warnings\n"
        "import numpy as np\n"
        "from encoder_job import cli, encoders\n"
        "from encoder_job.encoders.base import Encoded\n"
        "class Loud:\n"
        "    modality, fingerprint, runtime = 'text', 'e' * 32, 'loud'\n"
        "    def __init__(self, *place): pass\n"
        "    def encode(self, texts):\n"
        "        logging.getLogger('library').error('encoding %s', texts)\n"
        "        warnings.warn(f'odd: {texts}')\n"
        f"        if any({MARKER!r} in text for text in texts): raise KeyError(texts[0])\n"
        "        return [Encoded(np.ones(2, np.float32), 1, False) for _ in texts]\n"
        "encoders.LOADERS['loud'] = Loud\n"
        "cli.main()\n"
    )
    environment = os.environ | {"PYTHONFAULTHANDLER": "1", "PYTHONDEVMODE": "1"}
    options = ["--project-dir", str(job.folder)]

    def call(*arguments: str) -> subprocess.CompletedProcess:
        command = [sys.executable, "-c", code, *arguments, *options]
        return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)

    done = call("register", "loud", "--location", "x", "--loader", "loud")
    assert done.returncode == 0, done.stderr
    source = _marked_source(tmp_path / "source")
    landing = str(job.landing)
    done = call("run", "--source", str(source), "--encoder", "loud", "--landing", landing)
    assert done.returncode == 3, done.stderr
    assert MARKER not in done.stdout + done.stderr
    assert "encoder_error" in done.stderr
    assert MARKER not in said(job.folder)


def test_a_process_that_crashes_leaves_no_dump():
    code = (
        "import ctypes, os, resource\n"
        "from encoder_job.errors import be_silent\n"
        "_, most = resource.getrlimit(resource.RLIMIT_CORE)\n"
        "resource.setrlimit(resource.RLIMIT_CORE, (most, most))\n"
        "be_silent()\n"
        "print(*resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "0", "0"]
