"""Stores that the tests of the warehouse share. What is shared is never changed: a test spoils a copy."""

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from store import Build, Store

SAMPLE = {"text": ("--reviews", "60"), "image": ("--images", "150")}


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], Any]], Any]:
    """Makes something in a folder once for all workers of a run: `once(name, make)`."""
    common = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        common = common.parent

    def once(name: str, make: Callable[[Path], Any]) -> Any:
        folder, made = common / name, common / f"{name}.json"
        with FileLock(common / f"{name}.lock"):
            if not made.exists():
                made.write_text(json.dumps(make(folder)))
        return json.loads(made.read_text())

    return once


@pytest.fixture(scope="session")
def landed(once: Callable) -> Store:
    """A small real sample, encoded and landed, in a store that was never built."""

    def make(folder: Path) -> str:
        store = Store(folder)
        for modality, size in SAMPLE.items():
            manifest = folder / "sample" / f"{modality}.parquet"
            options = ("--modality", modality)
            fetched = store.run("encoder-job", "sample", *options, *size, "--objects", manifest)
            assert fetched.returncode == 0, fetched.stdout + fetched.stderr
            encoded = store.encode(manifest, *options)
            assert encoded.returncode == 0, encoded.stdout + encoded.stderr
        return str(folder)

    return Store(Path(once("landed", make)))


@pytest.fixture(scope="session")
def first_build(once: Callable, landed: Store) -> tuple[Store, Build]:
    """That sample built once, with what dbt said of it."""

    def make(folder: Path) -> tuple[str, dict]:
        return str(folder), asdict(landed.copy(folder).dbt("build", "--threads", "2"))

    folder, build = once("built", make)
    return Store(Path(folder)), Build(**build)


@pytest.fixture(scope="session")
def built(first_build: tuple[Store, Build]) -> Store:
    """The store of the first build."""
    store, build = first_build
    assert build.exit_code == 0, build.output[-4000:]
    return store


@pytest.fixture
def spoilt(built: Store, tmp_path: Path) -> Store:
    """A copy of the built store, for one test to spoil."""
    return built.copy(tmp_path / "store")
