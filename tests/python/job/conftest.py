"""Fixtures of the encoder job's tests."""

import logging
import shutil
from pathlib import Path

import pytest
from job_harness import KEY, Job, build_tiny_model

_REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def cache(tmp_path_factory) -> Path:
    """Where exported graphs are kept, apart from those of whoever runs the tests."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _environment(monkeypatch, cache):
    monkeypatch.setenv("EMBEDDING_STORE_CONTENT_KEY", KEY)
    monkeypatch.setenv("EMBEDDING_STORE_CACHE", str(cache))
    for name in ("EMBEDDING_STORE_LANDING", "DBT_PROJECT_DIR"):
        monkeypatch.delenv(name, raising=False)
    yield
    # the command line silences the process that it believes to own
    logging.disable(logging.NOTSET)


@pytest.fixture(scope="session")
def tiny_project(tmp_path_factory) -> Path:
    """A project in which the tiny model is registered and active."""
    folder = tmp_path_factory.mktemp("tiny")
    build_tiny_model(folder / "models" / "tiny")
    done = Job(folder)("register", "tiny", "--location", "models/tiny", "--state", "active")
    assert done.exit_code == 0, done.output
    return folder


@pytest.fixture
def job(tiny_project, tmp_path) -> Job:
    """A copy of that project, for one test."""
    shutil.copytree(tiny_project, tmp_path / "project")
    return Job(tmp_path / "project")


@pytest.fixture
def minilm_job(tmp_path) -> Job:
    """A project with this repository's own registry and probes: the real MiniLM."""
    for part in ("seeds/encoders.csv", "encoder_job/probes"):
        source, target = _REPOSITORY / part, tmp_path / "project" / part
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    return Job(tmp_path / "project")
