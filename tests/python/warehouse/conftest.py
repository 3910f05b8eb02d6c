"""Stores that the tests of the warehouse share. What is shared is never changed: a test spoils a copy."""

from pathlib import Path

import pytest
from store import Build, Store

SAMPLE_REVIEWS = 60


@pytest.fixture(scope="session")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A small real sample, encoded and landed, in a store that was never built."""
    store = Store(tmp_path_factory.mktemp("landed") / "store")
    manifest = store.root / "sample" / "objects.parquet"
    fetched = store.run(
        "encoder-job", "sample", "--reviews", str(SAMPLE_REVIEWS), "--objects", manifest
    )
    assert fetched.returncode == 0, fetched.stdout + fetched.stderr
    encoded = store.encode(manifest)
    assert encoded.returncode == 0, encoded.stdout + encoded.stderr
    return store


@pytest.fixture(scope="session")
def first_build(landed: Store, tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Build]:
    """That sample built once, with what dbt said of it."""
    store = landed.copy(tmp_path_factory.mktemp("built") / "store")
    return store, store.dbt("build")


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
