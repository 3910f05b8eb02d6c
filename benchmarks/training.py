"""Training and scoring at size, beside what one would write instead, in one run.

Training is one fit of the several that a build makes of each model, in one thread, as are the ways
beside it; both ways of scoring may use every core.

What a goal compares takes turns, ROUNDS times at the first size, and the middle ratio counts: a
machine that others use is not the same from one minute to the next.

A store of its own below target/bench holds SYNTHETIC examples: vectors of 384 float32, two labels
that a plane of them tells apart, a validation split of a tenth. Every step runs in a process of its
own, so that each has a peak of memory. DuckDB is set as in profiles.yml.example, and may hold
MEMORY. Prints ratios: seconds of one machine mean nothing on another.
"""

import argparse
import importlib.util
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import duckdb
import numpy as np
import pyarrow as pa

FOLDER = Path("target/bench/training")
DIMENSIONS, HIDDEN, CLASSES = 384, 128, ["negative", "other"]
PART_ROWS = 65_536
MEMORY = "1GB"
BATCH = 1_024
EPOCHS = 3
ROUNDS = 3
BEYOND_CACHE = 256


def load(name: str) -> ModuleType:
    """Return a Python model of the project, which is a file and no module."""
    path = Path(f"models/python/{name}.py")
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def store(count: int, **options: bool) -> duckdb.DuckDBPyConnection:
    """Open the store of so many examples."""
    connection = duckdb.connect(str(FOLDER / f"{count}.duckdb"), **options)
    connection.execute(
        f"set memory_limit = '{MEMORY}'; set threads = 2; "
        "set disabled_compression_methods = 'alp,alprd'"
    )
    return connection


def make_store(count: int) -> dict:
    """Write so many training examples, and a tenth as many of validation."""
    connection = store(count)
    connection.execute(
        "create table examples (split varchar, object_id varchar, split_group_id varchar, "
        "label varchar, embedding float[])"
    )
    plane = np.random.default_rng(0).normal(size=DIMENSIONS).astype(np.float32)
    for split, size in (("train", count), ("validation", count // 10)):
        for start in range(0, size, PART_ROWS):
            rows = min(PART_ROWS, size - start)
            random = np.random.default_rng([start, size])
            vectors = random.normal(size=(rows, DIMENSIONS)).astype(np.float32)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            is_negative = vectors @ plane + random.normal(size=rows) / 2 > 0
            offsets = pa.array(np.arange(rows + 1, dtype=np.int32) * DIMENSIONS)
            part = pa.table(  # noqa: F841 - DuckDB finds it by its name
                {
                    "split": [split] * rows,
                    "object_id": [f"{split}-{number}" for number in range(start, start + rows)],
                    "split_group_id": [f"{number // 5}" for number in range(start, start + rows)],
                    "label": np.where(is_negative, *CLASSES).tolist(),
                    "embedding": pa.ListArray.from_arrays(offsets, pa.array(vectors.ravel())),
                }
            )
            connection.execute("insert into examples select * from part")
    connection.execute("checkpoint")
    # or the disk is still at work when the first step is timed
    os.sync()
    return {}


def reader(count: int, split: str = "train") -> Iterator[pa.RecordBatch]:
    """Return the examples of a split as the trainer reads them."""
    columns = "object_id, split_group_id, label, embedding"
    query = f"select {columns} from examples where split = '{split}'"  # noqa: S608
    connection = store(count, read_only=True)
    yield from connection.sql(query).to_arrow_reader(8_192)


def seconds_of(work: Callable[[], object]) -> float:
    """Return how long some work takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def tensors(count: int, split: str = "train") -> object:
    """Return a split as the trainer holds it."""
    size = count if split == "train" else count // 10
    return load("training_records").Examples(reader(count, split), size, DIMENSIONS)


def scan(count: int) -> dict:
    """Have DuckDB give everything to Arrow, and drop it."""
    return {"seconds": seconds_of(lambda: [None for _ in reader(count)])}


def read(count: int) -> dict:
    """From the warehouse to what the trainer trains on."""
    return {"seconds": seconds_of(lambda: tensors(count))}


def read_pandas(count: int) -> dict:
    """From the warehouse to a matrix, by way of pandas."""

    def work() -> np.ndarray:
        query = "select label, embedding from examples where split = 'train'"
        return np.stack(store(count, read_only=True).sql(query).df()["embedding"].to_list())

    return {"seconds": seconds_of(work)}


def gemm(count: int) -> dict:
    """The matrix products of one epoch that no library can avoid: two of the first layer.

    Its batches come from memory, as those of an epoch do, and not from the processor's cache.
    """
    import torch

    torch.set_num_threads(1)
    w, d = torch.randn(DIMENSIONS, HIDDEN), torch.randn(BATCH, HIDDEN)
    batches = torch.randn(BEYOND_CACHE * BATCH, DIMENSIONS).split(BATCH)

    def work() -> None:
        for number in range(count // BATCH):
            x = batches[number % BEYOND_CACHE]
            torch.mm(x, w)
            torch.mm(x.T, d)

    return {"seconds": seconds_of(work)}


def config(architecture: str, count: int) -> dict:
    """Return a row of the training queue."""
    texts = ("classifier_id", "dataset_id", "task", "snapshot_id", "encoder_id")
    texts += ("encoder_fingerprint", "model_id")
    return dict.fromkeys(texts, "bench") | {
        "positive_label": CLASSES[0],
        "architecture": architecture,
        "trainer_version": load("training_records").TRAINER_VERSION,
        "classes": CLASSES,
        "hidden_units": HIDDEN if architecture == "mlp" else None,
        "embedding_dim": DIMENSIONS,
        "seed": 1,
        "train_count": count,
        "validation_count": count // 10,
        "weight_decay": 0.1,
        **dict.fromkeys(("class_weighting", "threshold_rule", "threshold_value", "abstain_band")),
        "snapshot_as_of": datetime(2026, 10, 1, tzinfo=UTC),
    }


def epoch(count: int) -> dict:
    """One epoch of the trainer, its vectors scaled and in place, as for every model of a build."""
    trainer = load("training_records")
    examples = tensors(count)
    examples.scale(examples.scaling())
    split, nothing = trainer.Split(examples, CLASSES), trainer.Split(examples, [])
    trainer.compute_in_one_thread()

    def fit(epochs: int) -> float:
        trainer.FIXED_EPOCHS = epochs
        return seconds_of(lambda: trainer.fit_mlp(split, nothing, config("mlp", count)))

    # what comes before the first epoch does not count, nor what a process does but once
    fit(1)
    return {"seconds": fit(2) - fit(1)}


def held(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return all examples as a matrix and labels, for the ways that need them so."""
    x, y = np.empty((count, DIMENSIONS), np.float32), np.empty(count, np.int64)
    start = 0
    for batch in reader(count):
        stop = start + batch.num_rows
        x[start:stop] = batch["embedding"].flatten().to_numpy().reshape(-1, DIMENSIONS)
        y[start:stop] = batch["label"].to_numpy(zero_copy_only=False) == CLASSES[0]
        start = stop
    return x, y


def epoch_sklearn(count: int) -> dict:
    """One epoch of scikit-learn's MLPClassifier."""
    import warnings

    from sklearn.neural_network import MLPClassifier
    from threadpoolctl import threadpool_limits

    warnings.simplefilter("ignore")
    x, y = held(count)
    net = MLPClassifier((HIDDEN,), batch_size=BATCH, max_iter=1, random_state=1)
    with threadpool_limits(limits=1):
        return {"seconds": seconds_of(lambda: net.fit(x, y))}


def epoch_loader(count: int) -> dict:
    """One epoch as torch's tutorials write it: a DataLoader over a TensorDataset."""
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    torch.set_num_threads(1)
    x, y = map(torch.from_numpy, held(count))
    net = torch.nn.Sequential(
        torch.nn.Linear(DIMENSIONS, HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, 2)
    )
    optimizer = torch.optim.AdamW(net.parameters())

    def work() -> None:
        for batch, labels in DataLoader(TensorDataset(x, y), batch_size=BATCH, shuffle=True):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(net(batch), labels).backward()
            optimizer.step()

    return {"seconds": seconds_of(work)}


def train(count: int, architecture: str) -> dict:
    """Train one model, from the warehouse to its rows; the mlp for EPOCHS epochs."""
    trainer = load("training_records")
    trainer.MAX_EPOCHS = EPOCHS

    def work() -> None:
        rows = [config(architecture, count)]
        read_split = lambda split, *_: reader(count, split)  # noqa: E731
        moment, studies = datetime.now(UTC), trainer.Studies()
        trainer.train_all(rows, read_split, moment, studies)

    return {"seconds": seconds_of(work)}


# what is to be scored, as `prediction_queue` has it
QUEUE = """
    select
        md5('bench/' || object_id) as prediction_id, 'bench' as classifier_id,
        'bench' as model_id, object_id as event_id, 'live' as deployment_state, embedding
    from examples where split = 'train'"""
SCORED_AT = datetime(2026, 11, 1)


def score(count: int) -> dict:
    """Score every example with a stored network, from table to table, in Arrow batches."""
    scorer = load("prediction_scores")
    network = scorer.Network(random_layers())
    connection = store(count)

    def work() -> None:
        batches = connection.cursor().sql(QUEUE).to_arrow_reader(scorer.BATCH_ROWS)
        scored = pa.RecordBatchReader.from_batches(  # noqa: F841 - DuckDB finds it by its name
            scorer.SCORE_SCHEMA,
            scorer.score_batches(batches, {"bench": network}, SCORED_AT),
        )
        connection.execute("create or replace table scores as select * from scored")

    seconds = seconds_of(work)
    if connection.sql("select count(*) from scores").fetchall() != [(count,)]:
        raise SystemExit("some examples have no score")
    return {"seconds": seconds}


def score_pandas(count: int) -> dict:
    """Make the same table by pandas and torch."""
    import torch

    layers = [[torch.from_numpy(part).float() for part in layer] for layer in random_layers()]
    connection = store(count)

    def work() -> None:
        rows = connection.sql(QUEUE).df()
        x = torch.from_numpy(np.stack(rows["embedding"].to_list()))
        with torch.inference_mode():
            hidden = torch.relu(torch.nn.functional.linear(x, *layers[0]))
            shares = torch.nn.functional.linear(hidden, *layers[1]).softmax(1).numpy()
        scored = rows.drop(columns="embedding").assign(  # noqa: F841 - DuckDB finds it by its name
            probabilities=list(shares), scored_at=SCORED_AT
        )
        connection.execute("create or replace table scores as select * from scored")

    return {"seconds": seconds_of(work)}


def scorer_sql() -> str:
    """Return the SQL scorer as dbt compiles it; its size does not depend on the network's."""
    command = [Path(sys.executable).with_name("dbt"), "--quiet", "compile", "--inline"]
    environment = os.environ | {
        "EMBEDDING_STORE_DUCKDB": str(FOLDER / "compiled.duckdb"),
        "DBT_TARGET_PATH": str(FOLDER / "target"),
        "DBT_LOG_PATH": str(FOLDER / "logs"),
    }
    macro = "{{ class_probabilities('vectors', 'units') }}"
    done = subprocess.run([*command, macro], env=environment, check=True, stdout=subprocess.PIPE)
    return done.stdout.decode()


def score_sql(count: int) -> dict:
    """A tenth of the examples by the same network as rows, in SQL."""
    connection = store(count)
    units = pa.Table.from_pylist(  # noqa: F841 - DuckDB finds it by its name
        [
            {"model_id": "bench", "layer": depth, "unit": unit, "bias": b, "weights": w}
            for depth, (weights, bias) in enumerate(random_layers(), start=1)
            for unit, (w, b) in enumerate(zip(weights, bias, strict=True))
        ]
    )
    connection.execute("create or replace table units as select * from units")
    some = f"select * from examples where split = 'train' limit {count // 10}"  # noqa: S608
    vectors = f"select 'bench' as model_id, object_id as event_id, embedding from ({some})"  # noqa: S608
    connection.execute(f"create or replace view vectors as {vectors}")
    query = scorer_sql()
    seconds = seconds_of(lambda: connection.execute(f"create table by_sql as {query}"))
    if connection.sql("select count(*) from by_sql").fetchall() != [(count // 10,)]:
        raise SystemExit("some examples have no score")
    return {"seconds": 10 * seconds, "said": f"its SQL has {len(query)} characters"}


def random_layers() -> list[tuple[np.ndarray, np.ndarray]]:
    """Return a network as it would be stored."""
    random = np.random.default_rng(2)
    sizes = [(HIDDEN, DIMENSIONS), (2, HIDDEN)]
    return [(random.normal(size=size), random.normal(size=size[0])) for size in sizes]


def train_linear(count: int) -> dict:
    """A linear model, from rows to its records."""
    return train(count, "linear")


def train_mlp(count: int) -> dict:
    """A network, from rows to its records."""
    return train(count, "mlp")


# each with its name, and whether it is shown at every size: what holds all examples is not
STEPS: dict[Callable[[int], dict], tuple[str, bool]] = {
    scan: ("DuckDB's own scan to Arrow", True),
    read: ("from rows to the trainer's blocks", True),
    read_pandas: ("from rows to a matrix by pandas", False),
    gemm: ("matrix products of an epoch", True),
    epoch: ("an epoch of the trainer", True),
    epoch_sklearn: ("an epoch of MLPClassifier", False),
    epoch_loader: ("an epoch of torch with a DataLoader", False),
    train_linear: ("training a linear model", True),
    train_mlp: (f"training an mlp, {EPOCHS} epochs", True),
    score: ("scoring, table to table", True),
    score_pandas: ("scoring by pandas and torch", False),
    score_sql: ("scoring by SQL, ten times a tenth", False),
}
BY_NAME = {work.__name__: work for work in (make_store, *STEPS)}
RATIOS = (
    ("rows to tensors / DuckDB's scan", "seconds", read, scan, "1.5"),
    ("pandas / DuckDB's scan", "seconds", read_pandas, scan, ""),
    ("epoch / its matrix products", "seconds", epoch, gemm, "1.5"),
    ("MLPClassifier / the matrix products", "seconds", epoch_sklearn, gemm, ""),
    ("DataLoader / the matrix products", "seconds", epoch_loader, gemm, ""),
    ("scoring by pandas and torch / ours", "seconds", score_pandas, score, "4"),
    ("scoring by SQL / ours", "seconds", score_sql, score, ""),
    ("memory of training / of reading by pandas", "megabytes", train_mlp, read_pandas, ".50"),
    ("memory of scoring / by pandas and torch", "megabytes", score, score_pandas, ".33"),
)


def turns() -> Iterator[list[Callable[[int], dict]]]:
    """Yield every step once: those whose times a goal compares together, each other one alone."""
    pairs = [{one, other} for _, what, one, other, goal in RATIOS if goal and what == "seconds"]
    left = list(STEPS)
    while left:
        first, *others = left
        together = [first, *(other for other in others if {first, other} in pairs)]
        left = [work for work in others if work not in together]
        yield together


def middle(rounds: list[dict], what: str) -> float:
    """Return the median of what a step took."""
    return statistics.median(took[what] for took in rounds)


def step(count: int, work: Callable) -> dict:
    """Run a step in a process of its own."""
    command = [sys.executable, __file__, "--step", work.__name__, "--examples", str(count)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    return json.loads(output.splitlines()[-1])


def measure(count: int, is_first: bool) -> dict[Callable, list[dict]]:
    """Run the steps over a store of so many examples. Returns what each took, round by round."""
    # in a process of its own, too: a process begins with the peak of the one that started it
    step(count, make_store)
    print(f"{count} examples")
    found: dict[Callable, list[dict]] = {}
    for together in turns():
        works = [work for work in together if is_first or STEPS[work][1]]
        for _ in range(ROUNDS if is_first and len(works) > 1 else 1):
            for work in works:
                found.setdefault(work, []).append(step(count, work))
        for work in works:
            seconds, megabytes = (middle(found[work], what) for what in ("seconds", "megabytes"))
            said = found[work][0].get("said", "")
            print(f"  {STEPS[work][0]:<42}{seconds:>8.1f} s {megabytes:>8.0f} MB", said, flush=True)
    for name, what, one, other, goal in RATIOS:
        if {one, other} <= set(found):
            # without `strict`: what took no turns was run once
            pairs = zip(found[one], found[other], strict=False)
            ratios = sorted(left[what] / right[what] for left, right in pairs)
            told = f"  {name:<42}{statistics.median(ratios):>8.2f}"
            told += f" ({ratios[0]:.2f} to {ratios[-1]:.2f})" if len(ratios) > 1 else ""
            print(told + (f" (goal: {goal})" if goal else ""))
    (FOLDER / f"{count}.duckdb").unlink()
    return found


def main() -> None:
    """Measure every size, and how the second grows on the first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, nargs="+", default=[1_000_000, 4_000_000])
    parser.add_argument("--step", choices=BY_NAME, help="one step, in this process")
    parser.add_argument("--sql-size", action="store_true", help="the size of the SQL scorer alone")
    asked = parser.parse_args()
    if asked.sql_size:
        FOLDER.mkdir(parents=True, exist_ok=True)
        print(len(scorer_sql()))
        return
    if asked.step is not None:
        told = BY_NAME[asked.step](asked.examples[0])
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        print(json.dumps(told | {"megabytes": peak}))
        return
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    found = [measure(size, number == 0) for number, size in enumerate(asked.examples)]
    for size, other in zip(asked.examples[1:], found[1:], strict=True):
        print(f"{size} beside {asked.examples[0]} examples")
        for work, took in other.items():
            whats = ("seconds", "megabytes")
            more = (middle(took, what) / middle(found[0][work], what) for what in whats)
            print(f"  {STEPS[work][0]:<42}" + "".join(f"{times:>9.2f}" for times in more), "times")
    shutil.rmtree(FOLDER)


if __name__ == "__main__":
    main()
