"""Staging and snapshots at size, beside DuckDB's own copy of the same Parquet, in one run.

Every size gets a landing folder of its own below target/bench, with SYNTHETIC events: random unit
vectors of 384 float32, one object, one rating and one decision for each. Both ways may hold as
much as MEMORY. Seconds of a step are dbt's own, for one model after the other; memory is the peak
of the process while the step ran.
What a schedule runs when nothing is new is timed as a whole: the question which source was written
to, and the build of what that calls for. With --nightly the first build has its tests and the
training, too; at a million events that takes a quarter of an hour. Prints ratios: seconds of one
machine mean nothing on another.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa

from encoder_job.landing.folder import FolderLanding
from encoder_job.landing.schemas import SCHEMAS
from encoder_job.registry import Registry

FOLDER = Path("target/bench/datasets")
DIMENSIONS = 384
PART_ROWS = 65_536
NEW_SHARE = 0.01
# what DuckDB may hold, of both ways: the process needs about half a GB more
MEMORY = "2GB"
FIRST_CREATED = datetime(2026, 7, 2, tzinfo=UTC)
LANDED_LATER = FIRST_CREATED + timedelta(days=100)
STAGED = ("measured_embedding_events", "stg_embedding_events")
SNAPSHOT = ("dataset_candidates", "dataset_examples", "dataset_headers", "dataset_snapshots")
COPY = "create or replace table copy as select * from read_parquet('{}/embedding_events/*.parquet')"


@dataclass
class Run:
    """What a process took: seconds and MB at the peak, as a whole and by step."""

    seconds: float
    peak: float
    steps: dict[str, tuple[float, float]] = field(default_factory=dict)

    def of(self, steps: tuple[str, ...]) -> tuple[float, float]:
        """Return the seconds of some steps together, and the highest of their peaks."""
        seconds, peaks = zip(*(self.steps[step] for step in steps), strict=True)
        return sum(seconds), max(peaks)


def measured(command: list, **variables: str) -> tuple[Run, list[tuple[float, float]]]:
    """Run a command to its end. Returns what it took, and its memory (MB) over time."""
    started = time.monotonic()
    process = subprocess.Popen(command, env=os.environ | variables, stdout=subprocess.PIPE)
    watched, samples = psutil.Process(process.pid), []

    def watch() -> None:
        while process.poll() is None:
            try:
                samples.append((time.time(), watched.memory_info().rss / 1e6))
            except psutil.NoSuchProcess:
                return
            time.sleep(0.02)

    watcher = threading.Thread(target=watch)
    watcher.start()
    output, _ = process.communicate()
    watcher.join()
    if process.returncode:
        raise SystemExit(output.decode()[-3000:])
    return Run(time.monotonic() - started, max(peak for _, peak in samples)), samples


def dbt(root: Path, *arguments: str) -> tuple[Run, list[tuple[float, float]]]:
    """Run dbt for the store below a folder. Returns what it took, and its memory over time."""
    return measured(
        [Path(sys.executable).with_name("dbt"), "--quiet", *arguments],
        EMBEDDING_STORE_DUCKDB=str(root / "store.duckdb"),
        EMBEDDING_STORE_DUCKDB_MEMORY=MEMORY,
        EMBEDDING_STORE_LANDING=str(root / "landing"),
        DBT_TARGET_PATH=str(root / "target"),
        DBT_LOG_PATH=str(root / "logs"),
    )


def build(root: Path, *arguments: str) -> Run:
    """Build the store below a folder, and read what each step took."""
    run, samples = dbt(root, "build", *arguments)
    for result in json.loads((root / "target" / "run_results.json").read_text())["results"]:
        timing = next((t for t in result["timing"] if t["name"] == "execute"), None)
        if timing:
            begin, end = (
                datetime.fromisoformat(timing[at]).timestamp()
                for at in ("started_at", "completed_at")
            )
            peaks = [peak for at, peak in samples if begin - 0.05 <= at <= end + 0.05]
            run.steps[result["unique_id"].split(".")[2]] = (end - begin, max(peaks, default=0.0))
    return run


def build_first(root: Path, *arguments: str) -> Run:
    """Build what is asked for, and keep what the next build by the schedule compares with."""
    dbt(root, "source", "freshness")
    run = build(root, *arguments)
    for name in ("manifest.json", "sources.json"):
        shutil.copy(root / "target" / name, root)
    return run


def build_news(root: Path, *arguments: str) -> Run:
    """Do what a schedule does after that: ask what is new, and build it."""
    asked, _ = dbt(root, "source", "freshness")
    built = build(root, "--selector", "news", "--state", str(root.resolve()), *arguments)
    return Run(asked.seconds + built.seconds, max(asked.peak, built.peak), built.steps)


def land(root: Path, first: int, count: int) -> None:
    """Land so many objects from a number on, each with a vector, a rating and a decision."""
    landing = FolderLanding(str(root / "landing"))
    landing.ensure_tables()
    encoder = Registry(Path()).active("text")
    for start in range(first, first + count, PART_ROWS):
        numbers = np.arange(start, min(start + PART_ROWS, first + count))
        rows = len(numbers)
        ids = pa.array([f"object-{number}" for number in numbers])
        customers = [f"customer-{number % (count // 20)}" for number in numbers]
        created = pa.array(
            [
                FIRST_CREATED + timedelta(seconds=int(number * 7919 % 8_000_000))
                for number in numbers
            ],
            pa.timestamp("us", tz="UTC"),
        )
        # what comes later lands after all the rest; what was there was known at once
        landed = pa.nulls(rows) if not first else pa.array([LANDED_LATER] * rows)
        vectors = np.random.default_rng(start).normal(size=(rows, DIMENSIONS)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        offsets = pa.array(np.arange(rows + 1, dtype=np.int32) * DIMENSIONS)
        columns = {
            "object_id": ids,
            "customer_id": pa.array(customers),
            "object_version": pa.array(["1"] * rows),
            "modality": pa.array(["text"] * rows),
            "source_reference": ids,
            "object_created_at": created,
            "event_id": ids,
            "encoder_id": pa.array([encoder.encoder_id] * rows),
            "encoder_fingerprint": pa.array([encoder.encoder_fingerprint] * rows),
            "embedding_dim": pa.array([DIMENSIONS] * rows),
            "embedding_norm": pa.array([1.0] * rows),
            "encoded_at": created,
            "landed_at": landed,
            "embedding": pa.ListArray.from_arrays(offsets, pa.array(vectors.ravel())),
            "rating": pa.array(np.where(numbers % 3 == 0, -1.0, 1.0)),
            "rated_at": created,
            "task": pa.array(["negative_review"] * rows),
            "label": pa.array(np.where(numbers % 3 == 0, "negative", "other").tolist()),
            "decided_at": created,
        }
        for table in ("object_events", "embedding_events", "rating_events", "decision_events"):
            schema = SCHEMAS[table]
            landing.write_part(
                table,
                pa.table(
                    [columns.get(f.name, pa.nulls(rows)).cast(f.type) for f in schema],
                    schema=schema,
                ),
                [start, rows],
            )
    accounts = [
        {"event_id": f"opened-{n}", "customer_id": f"customer-{n}", "event_type": "opened"}
        | {"occurred_at": FIRST_CREATED}
        for n in range(count // 20)
    ]
    if not first:
        landing.write_part("account_events", accounts, "accounts")


def told(name: str, run: Run, steps: tuple[str, ...] = ()) -> tuple[float, float]:
    """Print what some steps, or the whole process, took."""
    seconds, peak = run.of(steps) if steps else (run.seconds, run.peak)
    print(f"  {name:<52}{seconds:>8.1f} s {peak:>8.0f} MB")
    return seconds, peak


def tell_longest(run: Run) -> None:
    """Print what the five longest steps took."""
    for step in sorted(run.steps, key=run.steps.get, reverse=True)[:5]:
        told(f"    {step}", run, (step,))


def landed_in(name: str, count: int) -> Path:
    """Return a new folder of its own with so many events landed below it."""
    root = FOLDER / name
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    land(root, 0, count)
    return root


def measure(count: int) -> dict[str, float]:
    """Build a store of so many events three times. Returns what is compared between sizes."""
    root = landed_in(str(count), count)
    print(f"{count} events")
    query = COPY.format(root / "landing")
    script = (
        f"import duckdb; store = duckdb.connect('{root}/copy.duckdb', "
        f"config={{'memory_limit': '{MEMORY}'}}); store.execute(\"{query}\")"
    )
    copy, _ = measured([sys.executable, "-c", script])
    (root / "copy.duckdb").unlink()
    copied, _ = told("DuckDB's own copy of the embedding events", copy)
    untested = [f"--exclude-resource-type={kind}" for kind in ("test", "unit_test")]
    datasets = ["--selector", "ci_fast", "--threads", "1", *untested]
    first = build_first(root, *datasets)
    staged, staged_peak = told("vectors staged, first build", first, STAGED)
    snapshot, snapshot_peak = told("a snapshot of each dataset", first, SNAPSHOT)
    whole, _ = told("first build as a whole, dbt's start included", first)
    # of these models alone: the test that is asked every night reads another
    news, _ = told("nothing new: asked, and nothing built", build_news(root, *untested))
    second = build(root, *datasets)
    told("nothing new, and all of it built again", second)
    land(root, count, int(count * NEW_SHARE))
    more = build(root, *datasets)
    told(f"third build, {NEW_SHARE:.0%} new", more)
    told("  of it vectors staged", more, STAGED)
    for name, run in (("first", first), ("second", second)):
        print(f"  the five longest steps of the {name} build")
        tell_longest(run)
    print(f"  staging / DuckDB's copy: {staged / copied:.2f} (goal: 2)")
    print(f"  nothing new / first build: {news / whole:.2f} (goal: .10)")
    shutil.rmtree(root)
    return {
        "staging, seconds": staged,
        "staging, MB": staged_peak,
        "snapshots, seconds": snapshot,
        "snapshots, MB": snapshot_peak,
        "first build, seconds": whole,
    }


def measure_nightly(count: int) -> None:
    """Run what is scheduled, tests and training included, and run it again."""
    root = landed_in("nightly", count)
    print(f"{count} events, the whole nightly build with its tests")
    first = build_first(root, "--selector", "nightly")
    told("first build", first)
    tell_longest(first)
    news = build_news(root)
    told("nothing new: asked, and nothing built", news)
    second = build(root, "--selector", "nightly")
    told("nothing new, and all of it built again", second)
    tell_longest(second)
    print(f"  nothing new / first build: {news.seconds / first.seconds:.2f} (goal: .10)")
    shutil.rmtree(root)


def main() -> None:
    """Measure every size, and how the second grows on the first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, nargs="+", default=[1_000_000, 4_000_000])
    parser.add_argument("--nightly", type=int, help="of so many events, and nothing else")
    asked = parser.parse_args()
    if asked.nightly:
        measure_nightly(asked.nightly)
        return
    sizes = asked.events
    found = [measure(size) for size in sizes]
    for size, other in zip(sizes[1:], found[1:], strict=True):
        print(f"{size} beside {sizes[0]} events ({size / sizes[0]:.0f} times as many)")
        for name, value in other.items():
            print(f"  {name:<52}{value / found[0][name]:>8.2f} times")


if __name__ == "__main__":
    main()
