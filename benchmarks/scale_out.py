"""The job on Apache Beam beside the job in one process, at 20,000 texts, on all cores, in turn.

Both run in Beam's environment, over the same manifest, from start to end: what Beam takes to start
its processes counts. Both must land the same bytes. Prints ratios.
"""

import argparse
import hashlib
import os
import secrets
import shutil
import subprocess
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

FOLDER = Path("target/bench/scale_out")
JOB = Path(".venv-beam/bin/encoder-job")
WAYS = {"one process": ["run"], "Beam, a process a core": ["beam"]}


def write_manifest(count: int) -> Path:
    """Write so many texts, each a sample review and a number."""
    found = pq.read_table("sample/objects.parquet").drop_columns(["object_id", "content"])
    contents = pq.read_table("sample/objects.parquet", columns=["content"])["content"].to_pylist()
    rows = pa.array([number % len(contents) for number in range(count)])
    texts = [f"{contents[number % len(contents)]} {number}" for number in range(count)]
    table = found.take(rows).append_column("content", [texts])
    table = table.append_column("object_id", [[f"text-{number}" for number in range(count)]])
    path = FOLDER / "objects.parquet"
    pq.write_table(table, path, row_group_size=5_000)
    return path


def digest(landing: Path) -> str:
    """Return a hash of all vectors by event."""
    tables = [
        pq.read_table(path, columns=["event_id", "embedding"])
        for path in landing.glob("embedding_events/part-*")
    ]
    table = pa.concat_tables(tables).sort_by("event_id")
    vectors = table["embedding"].combine_chunks().values.to_numpy()
    return hashlib.sha256(vectors.tobytes()).hexdigest() + str(len(table))


def main() -> None:
    """Run both ways, and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=20_000)
    count = parser.parse_args().texts
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    source = write_manifest(count)
    environment = os.environ | {"EMBEDDING_STORE_CONTENT_KEY": secrets.token_hex(32)}
    seconds, digests = {}, {}
    for way, command in WAYS.items():
        landing = FOLDER / command[0]
        started = time.monotonic()
        subprocess.run(
            [JOB, *command, "--source", source, "--landing", landing],
            env=environment,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        seconds[way], digests[way] = time.monotonic() - started, digest(landing)
        print(f"  {way:<30}{seconds[way]:>8.1f} s {count / seconds[way]:>8.0f} texts/s")
    one, many = seconds.values()
    print(f"  throughput of Beam / of one process: {one / many:.2f}")
    if len(set(digests.values())) != 1:
        raise SystemExit("the two ways landed different vectors")
    print("  the same bytes")
    shutil.rmtree(FOLDER)


if __name__ == "__main__":
    main()
