"""Score the embedding events that no champion has scored yet, and return the probabilities.

One file for both engines, with nothing of this repository beside it: on BigQuery it runs in a
process of its own. `model` reads and returns, all between is a function that pytest can call.

What is missing is decided by the engine, from the keys alone; vectors are read for the missing
events only. On DuckDB they pass through in batches, so that memory does not grow with the number
of events. On BigQuery that process holds the missing vectors of one run.

The function is the one that the trainer wrote as rows: layers of dot products with ReLU between
them, then a softmax over the classes. Hidden layers, which are nearly all of the work, are computed
in single precision, as the vectors are; the last one in double.
"""

import os
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

BATCH_ROWS = 4_096
# Batches that are scored at a time: one thread reads, and would not keep up with more.
MOST_SCORERS = 4
MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}:[0-9]{2})?")

SCORE_SCHEMA = pa.schema(
    [
        ("prediction_id", pa.string()),
        ("classifier_id", pa.string()),
        ("model_id", pa.string()),
        ("event_id", pa.string()),
        ("deployment_state", pa.string()),
        ("probabilities", pa.list_(pa.float64())),
        ("scored_at", pa.timestamp("us")),
    ]
)

Layer = tuple[np.ndarray, np.ndarray]  # weights (units, inputs), biases (units,)


def log(message: str) -> None:
    """Say something in dbt's log, which shows what a Python model prints."""
    print(f"prediction_scores: {message}", flush=True)  # noqa: T201


# ---------------------------------------------------------------------------------------------
# What is to be scored


def moment_of(rescore_from: str) -> datetime | None:
    """Return the moment from which history is scored again, in UTC without a zone; None for none.

    At the start of a build the macro `requested_moment`, which serves the SQL scorer, has refused
    what is no moment, or none yet. Raises ValueError for what is no moment in UTC.
    """
    if not rescore_from:
        return None
    rescore_from = str(rescore_from).strip()
    if not MOMENT.fullmatch(rescore_from):
        raise ValueError(
            f"rescore_from: {rescore_from!r} is no UTC moment; write 2026-10-01 "
            "or '2026-10-01 12:00:00'"
        )
    return datetime.fromisoformat(rescore_from)


def naive_utc(moment: datetime) -> datetime:
    """Return a moment in UTC without a zone, which is how timestamps are held here."""
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def unscored_query(queue: str, scores: str | None, rescore_from: datetime | None) -> str:
    """Return SQL, good on both engines, for the rows of the queue that have no score yet.

    `queue` is a query and `scores` the name of the table of this very model (None: there is none
    yet). An event that any model of the same classifier has scored counts as scored, so that a
    new champion scores what is new; from `rescore_from` on only this model's own score counts.
    """
    if scores is None:
        return queue
    counts = ""
    if rescore_from is not None:
        counts = f"""
                    and (
                        queue.landed_at < timestamp '{rescore_from.isoformat(sep=" ")}'
                        or scores.model_id = queue.model_id
                    )"""
    return f"""
            select queue.*
            from ({queue}) as queue
            where not exists (
                select 1
                from {scores} as scores
                where
                    scores.classifier_id = queue.classifier_id
                    and scores.event_id = queue.event_id{counts}
            )"""  # noqa: S608


def missing_query(unscored: str) -> str:
    """Return SQL for one row per model that has events to score; it reads no vectors."""
    return f"""
        select
            model_id,
            min(landed_at) as first_landed_at
        from ({unscored}) as unscored
        group by model_id"""  # noqa: S608


def vectors_query(unscored: str, missing: list[dict[str, Any]]) -> str:
    """Return SQL for the events to score with their vectors.

    The bound on landed_at changes nothing in the result. It lets the engine skip the vectors of
    what landed, and was scored, long ago, which an anti-join alone would read.
    """
    first = min(naive_utc(row["first_landed_at"]) for row in missing)
    return (
        "select prediction_id, classifier_id, model_id, event_id, deployment_state, "  # noqa: S608
        f"embedding from ({unscored}) as unscored "
        f"where landed_at >= timestamp '{first.isoformat(sep=' ')}'"
    )


# ---------------------------------------------------------------------------------------------
# The networks, from rows


# vectors of a batch, of each kind, on which single precision is held against double, and how far it
# may be off: less than half of what the scorers of two engines may differ
_CHECKED_ROWS, _MOST_OFF = 32, 4e-6


@dataclass(frozen=True)
class Network:
    """A classifier as it was stored: layers over a vector, then a softmax over the classes."""

    layers: list[Layer]

    @property
    def inputs(self) -> int:
        """Return the length of the vectors that it takes."""
        return self.layers[0][0].shape[1]

    def probabilities(self, x: np.ndarray) -> np.ndarray:
        """Return one row of probabilities per vector, in the order of the classes."""
        with np.errstate(over="ignore", invalid="ignore"):
            found = self._probabilities(x, np.dtype(np.float32))
            lengths = np.einsum("ij,ij->i", x, x)
        # single precision is not enough where features are large beside how much they differ, since
        # their scale is in the weights, and where it cannot hold a product at all: the longest
        # vectors have the largest errors, and these show where no class is nearly certain
        checked = np.concatenate(
            [
                np.argsort(lengths)[-_CHECKED_ROWS:],
                np.argsort(found.max(axis=1))[:_CHECKED_ROWS],
                np.arange(0, len(x), max(1, len(x) // _CHECKED_ROWS)),
            ]
        )
        exact = self._probabilities(x[checked], np.dtype(np.float64))
        is_enough = np.abs(found[checked] - exact) <= _MOST_OFF
        return found if is_enough.all() else self._probabilities(x, np.dtype(np.float64))

    def _probabilities(self, x: np.ndarray, hidden: np.dtype) -> np.ndarray:
        values = x
        for weights, bias in self.layers[:-1]:
            values = np.asarray(values, hidden) @ weights.T.astype(hidden)
            values += bias.astype(hidden)
            np.maximum(values, 0.0, out=values)
        weights, bias = self.layers[-1]
        values = np.asarray(values, np.float64) @ weights.T + bias
        values = np.exp(values - values.max(axis=1, keepdims=True))
        return values / values.sum(axis=1, keepdims=True)


DEPTHS = {"linear": 1, "mlp": 2}


def networks_of(classifier_models: pa.Table, classifier_units: pa.Table) -> dict[str, Network]:
    """Build every network from its rows.

    Raises ValueError where rows are missing, doubled or do not fit: a net with a hole would still
    give numbers.
    """
    rows_of: dict[str, list[Mapping[str, Any]]] = {}
    for row in classifier_units.to_pylist():
        rows_of.setdefault(row["model_id"], []).append(row)
    networks = {}
    for about in classifier_models.to_pylist():
        model_id = about["model_id"]
        layers: list[Layer] = []
        for depth in range(1, DEPTHS[about["architecture"]] + 1):
            units = sorted(
                (row for row in rows_of.get(model_id, []) if row["layer"] == depth),
                key=lambda row: row["unit"],
            )
            if [row["unit"] for row in units] != list(range(len(units))) or not units:
                raise ValueError(f"model {model_id}: units of layer {depth} are not 0, 1, 2, …")
            if len({len(row["weights"]) for row in units}) != 1:
                raise ValueError(f"model {model_id}: units of layer {depth} differ in length")
            weights = np.array([row["weights"] for row in units], dtype=np.float64)
            if layers and weights.shape[1] != len(layers[-1][1]):
                raise ValueError(f"model {model_id}: layer {depth} does not fit the one before")
            layers.append((weights, np.array([row["bias"] for row in units], dtype=np.float64)))
        if len(layers[-1][1]) != len(about["classes"]):
            raise ValueError(f"model {model_id}: the last layer has not one unit per class")
        if not all(np.isfinite(part).all() for layer in layers for part in layer):
            raise ValueError(f"model {model_id}: a weight or a bias is not finite")
        networks[model_id] = Network(layers)
    return networks


# ---------------------------------------------------------------------------------------------
# Scoring


def matrix_of(vectors: pa.ListArray, inputs: int, model_id: str) -> np.ndarray:
    """Return vectors without nulls as a matrix, sharing their memory.

    Raises ValueError where a vector has another length than the model takes.
    """
    lengths = pc.unique(pc.list_value_length(vectors)).to_pylist()
    if lengths != [inputs]:
        raise ValueError(
            f"model {model_id} takes vectors of length {inputs}, the queue gives {sorted(lengths)}"
        )
    flat = vectors.flatten()
    return flat.to_numpy(zero_copy_only=flat.null_count == 0).reshape(len(vectors), inputs)


def score_batch(
    batch: pa.RecordBatch, networks: Mapping[str, Network], scored_at: datetime
) -> list[pa.RecordBatch]:
    """Score one batch of the queue: one batch out per model in it.

    A row whose vector is missing, empty (as an engine without null arrays has it) or not finite
    gets no score.
    """
    scored = []
    for model_id in pc.unique(batch["model_id"]).to_pylist():
        if model_id not in networks:
            raise ValueError(f"the queue names model {model_id}, which has no stored weights")
        is_own = pc.equal(batch["model_id"], pa.scalar(model_id, batch["model_id"].type))
        # a null length compares as null
        has_vector = pc.fill_null(pc.greater(pc.list_value_length(batch["embedding"]), 0), False)
        is_usable = pc.and_(is_own, has_vector)
        # mostly all rows are, and a filter copies the vectors
        rows = batch if pc.all(is_usable).as_py() else batch.filter(is_usable)
        if rows.num_rows:
            network = networks[model_id]
            x = matrix_of(rows["embedding"], network.inputs, model_id)
            is_finite = np.isfinite(x).all(axis=1)
            if not is_finite.all():
                rows, x = rows.filter(pa.array(is_finite)), x[is_finite]
            scored.append(scores_of(rows, network.probabilities(x), scored_at))
    return scored


def scores_of(
    rows: pa.RecordBatch, probabilities: np.ndarray, scored_at: datetime
) -> pa.RecordBatch:
    """Return scored rows in the schema of the table."""
    count, classes = probabilities.shape
    offsets = pa.array(np.arange(count + 1, dtype=np.int32) * classes)
    computed = {
        "probabilities": pa.ListArray.from_arrays(offsets, probabilities.ravel()),
        "scored_at": pa.repeat(pa.scalar(scored_at, pa.timestamp("us")), count),
    }
    arrays = [
        computed[field.name] if field.name in computed else rows[field.name].cast(field.type)
        for field in SCORE_SCHEMA
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=SCORE_SCHEMA)


def score_batches(
    batches: Iterable[pa.RecordBatch], networks: Mapping[str, Network], scored_at: datetime
) -> Iterator[pa.RecordBatch]:
    """Score batch after batch, and say at the end how many events it were.

    While the next batches are read, some are scored, each in one thread: a product of matrices
    that takes all cores leaves none to read with, and adds up in an order of its own. One thread
    for good: other Python models of the build compute in one, too, maybe beside this one.
    """
    from threadpoolctl import threadpool_limits

    threadpool_limits(limits=1)
    read = scored = 0
    scorers = min(MOST_SCORERS, os.cpu_count() or 1)
    coming: deque[Future] = deque()

    def first_done() -> list[pa.RecordBatch]:
        nonlocal scored
        done = coming.popleft().result()
        scored += sum(part.num_rows for part in done)
        return done

    with ThreadPoolExecutor(scorers) as pool:
        for batch in batches:
            read += batch.num_rows
            coming.append(pool.submit(score_batch, batch, networks, scored_at))
            if len(coming) > scorers:
                yield from first_done()
        while coming:
            yield from first_done()
    log(f"scored {scored} events")
    if read > scored:
        log(f"{read - scored} events have no usable vector and are not scored")


# ---------------------------------------------------------------------------------------------
# The engines


def sql_of(relation: Any, is_bigframes: bool) -> str:
    """Return the query that a relation stands for."""
    return relation.sql if is_bigframes else relation.sql_query()


def read_query(session: Any, query: str, is_bigframes: bool) -> pa.Table:
    """Run a query and return all of its rows."""
    return (
        session.read_gbq(query).to_arrow() if is_bigframes else session.sql(query).to_arrow_table()
    )


def read_networks(
    session: Any, models: Any, units: Any, needed: list[str], is_bigframes: bool
) -> dict[str, Network]:
    """Read the networks needed, and leave the many older ones where they are."""
    names = ", ".join(f"'{name}'" for name in needed)
    tables = [
        read_query(
            session,
            f"select {columns} from ({sql_of(relation, is_bigframes)}) as stored "  # noqa: S608
            f"where model_id in ({names})",
            is_bigframes,
        )
        for relation, columns in (
            (models, "model_id, architecture, classes"),
            (units, "model_id, layer, unit, bias, weights"),
        )
    ]
    return networks_of(*tables)


def model(dbt, session):
    """Return the scores of the events that have none."""
    is_bigframes = hasattr(session, "read_gbq")
    queue_relation = dbt.ref("prediction_queue")
    models_relation = dbt.ref("classifier_models")
    units_relation = dbt.ref("classifier_units")

    unscored = unscored_query(
        sql_of(queue_relation, is_bigframes),
        str(dbt.this) if dbt.is_incremental else None,
        moment_of(dbt.config.meta_get("rescore_from")),
    )
    # Keys first: where nothing is missing, no vector and no weight is read.
    missing = read_query(session, missing_query(unscored), is_bigframes).to_pylist()
    scores = SCORE_SCHEMA.empty_table()
    if missing:
        needed = sorted(row["model_id"] for row in missing)
        networks = read_networks(session, models_relation, units_relation, needed, is_bigframes)
        wanted = vectors_query(unscored, missing)
        if is_bigframes:
            # Without the word BigQuery refuses to answer with more than ten gigabytes.
            missed = session.read_gbq(wanted, allow_large_results=True)
            batches = missed.to_arrow(allow_large_results=True).to_batches(BATCH_ROWS)
        else:
            batches = session.sql(wanted).to_arrow_reader(BATCH_ROWS)
        scored_at = datetime.now(UTC).replace(tzinfo=None)
        scores = pa.RecordBatchReader.from_batches(
            SCORE_SCHEMA, score_batches(batches, networks, scored_at)
        )
    else:
        log("nothing to score")
    if is_bigframes:
        scores = scores.read_all() if missing else scores
        # BigQuery makes a DATETIME of a timestamp without a zone.
        zoned = scores["scored_at"].cast(pa.timestamp("us", tz="UTC"))
        position = SCORE_SCHEMA.get_field_index("scored_at")
        scores = session.read_arrow(scores.set_column(position, "scored_at", zoned))
    return scores
