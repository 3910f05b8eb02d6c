"""Raw content stays in the source: no output, no log, no file, no exception carries it."""

import subprocess
import sys

import pytest
from job_harness import manifest, record

from encoder_job import encoders

MARKER = "zebra-quartz-8151"


class _Panic(BaseException):
    """What a library in Rust raises."""


class _Lost:
    """An encoder that fails for good on its way, as on a device that is gone."""

    def __init__(
        self, inner: encoders.Encoder, is_lost: list[bool], error: type[BaseException]
    ) -> None:
        self._inner, self._is_lost, self._error = inner, is_lost, error
        self.modality, self.fingerprint = inner.modality, inner.fingerprint
        self.runtime, self.batch_factor = inner.runtime, inner.batch_factor

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


def test_a_process_that_crashes_leaves_no_dump():
    code = (
        "import ctypes, os, resource\n"
        "from encoder_job.silence import be_silent\n"
        "_, most = resource.getrlimit(resource.RLIMIT_CORE)\n"
        "resource.setrlimit(resource.RLIMIT_CORE, (most, most))\n"
        "be_silent()\n"
        "print(*resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "0", "0"]
