from datetime import datetime
from types import SimpleNamespace

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from python_models import examples, logits_from_rows, matrix, queue_row, train_on
from scipy.special import softmax

SCORED_AT = datetime(2026, 11, 2)
KEYS = pa.schema(
    [
        *((name, pa.string()) for name in ("prediction_id", "classifier_id", "model_id")),
        *((name, pa.string()) for name in ("event_id", "deployment_state")),
        ("landed_at", pa.timestamp("us")),
        ("embedding", pa.list_(pa.float32())),
    ]
)
STORED_MODELS = [
    ("model_id", pa.string()),
    ("architecture", pa.string()),
    ("classes", pa.list_(pa.string())),
]
STORED_UNITS = [
    ("model_id", pa.string()),
    ("layer", pa.int64()),
    ("unit", pa.int64()),
    ("bias", pa.float64()),
    ("weights", pa.list_(pa.float64())),
]


def stored(architecture="linear", classes=("a", "b"), units=None, model_id="m"):
    """A model and its units as tables; by default the sign of the sum of two numbers."""
    if units is None:
        units = [(1, 0, 0.0, [0.0, 0.0]), (1, 1, 0.0, [1.0, 1.0])]
    rows = [(model_id, *unit) for unit in units]
    return (
        pa.Table.from_pylist(
            [{"model_id": model_id, "architecture": architecture, "classes": list(classes)}],
            pa.schema(STORED_MODELS),
        ),
        pa.Table.from_pylist(
            [dict(zip([name for name, _ in STORED_UNITS], row, strict=True)) for row in rows],
            pa.schema(STORED_UNITS),
        ),
    )


def event(event_id, embedding=(1.0, 2.0), landed_at=datetime(2026, 10, 1), **changes):
    row = {
        "prediction_id": f"of {event_id}",
        "classifier_id": "c",
        "model_id": "m",
        "event_id": event_id,
        "deployment_state": "live",
        "landed_at": landed_at,
        "embedding": embedding if embedding is None else list(embedding),
    }
    return row | changes


class Session:
    """A DuckDB connection that remembers what it was asked, as dbt hands it over."""

    def __init__(self, queue, models, units, scores=None):
        self.connection, self.queries = duckdb.connect(), []
        self.connection.execute("set TimeZone = 'UTC'")
        for name, table in (
            ("prediction_queue", queue),
            ("classifier_models", models),
            ("classifier_units", units),
            ("prediction_scores", scores),
        ):
            if table is not None:
                self.connection.register("_given", table)
                self.connection.execute(f"create table {name} as select * from _given")
                self.connection.unregister("_given")

    def sql(self, query):
        self.queries.append(query)
        return self.connection.sql(query)

    def run(self, scorer, rescore_from="", is_incremental=True):
        dbt = SimpleNamespace(
            ref=lambda name: self.connection.query(f"select * from {name}"),
            config=SimpleNamespace(meta_get=lambda _key: rescore_from),
            is_incremental=is_incremental,
            this="prediction_scores",
        )
        result = scorer.model(dbt, self)
        return result if isinstance(result, pa.Table) else result.read_all()


@pytest.mark.parametrize("architecture", ["linear", "mlp"])
@pytest.mark.parametrize("classes", [2, 3, 4, 5])
def test_scores_are_the_trained_function(trainer, scorer, architecture, classes):
    row = queue_row(architecture, classes)
    records = train_on(trainer, row, examples(120, classes, 1), examples(60, classes, 2))
    is_unit = pa.compute.equal(records["record_type"], "unit")
    models, units = records.slice(0, 1), records.filter(is_unit)
    # rows come in any order
    units = units.take(pa.array(np.random.default_rng(0).permutation(units.num_rows)))
    fresh = examples(40, classes, 9)
    queue = pa.Table.from_pylist(
        [
            event(f"e{number}", vector, model_id=row["model_id"])
            for number, vector in enumerate(fresh["embedding"].to_pylist())
        ],
        KEYS,
    )
    scores = Session(queue, models, units).run(scorer, is_incremental=False).sort_by("event_id")

    order = np.argsort([f"e{number}" for number in range(40)])
    expected = softmax(logits_from_rows(records, matrix(fresh)), axis=1)[order]
    found = np.array(scores["probabilities"].to_pylist())
    assert found.shape == (40, classes)
    # hidden units are computed in single precision
    assert np.abs(found - expected).max() < (1e-9 if architecture == "linear" else 1e-6)


def test_what_overflows_single_precision_is_scored_in_double(scorer):
    layers = [(np.array([[1e30, 0.0], [0.0, 1e30]]), np.zeros(2)), (np.eye(2) * 1e-45, np.zeros(2))]
    x = np.array([[2e15, 1e15], [1.0, 2.0]], np.float32)
    found = scorer.Network(layers).probabilities(x * np.float32(1e15))
    assert found == pytest.approx(softmax(x.astype(np.float64), axis=1), abs=1e-6)


@pytest.mark.parametrize(
    ("offset", "far", "is_single"),
    [
        (0, slice(None), True),
        (1, slice(None), True),
        (100, slice(None), False),
        (1e4, slice(None), False),
        (1e4, slice(4_001, 4_002), False),
    ],
)
@pytest.mark.parametrize("hidden", [1, 64, 256])
def test_features_far_from_zero_are_scored_in_double(
    scorer, monkeypatch, hidden, offset, far, is_single
):
    random = np.random.default_rng(hidden)
    x = random.normal(0, 1, (5_000, 384))
    x[far] += offset
    x = x.astype(np.float32)
    # as the trainer stores it: the features' mean is in the bias
    weights = random.normal(0, 384**-0.5, (hidden, 384))
    layers = [
        (weights, random.normal(0, 0.1, hidden) - weights @ np.full(384, float(offset))),
        (random.normal(0, hidden**-0.5, (3, hidden)), np.zeros(3)),
    ]
    used, compute = [], scorer.Network._probabilities
    monkeypatch.setattr(
        scorer.Network,
        "_probabilities",
        lambda self, x, kind: used.append((len(x), kind)) or compute(self, x, kind),
    )
    found = scorer.Network(layers).probabilities(x)
    values = np.maximum(x.astype(np.float64) @ layers[0][0].T + layers[0][1], 0)
    expected = softmax(values @ layers[1][0].T, axis=1)
    assert np.abs(found - expected).max() < 1e-5
    assert ((len(x), np.float64) not in used) == is_single


def test_a_few_undecided_rows_show_what_single_precision_lacks(scorer):
    random = np.random.default_rng(0)
    x = random.normal(300, 1, (4_096, 384)).astype(np.float32)
    weights = random.normal(0, 1, (64, 384))
    # the mean is in no unit, and most rows are far from the border between the classes
    layers = [
        (weights - weights.mean(axis=1, keepdims=True), np.zeros(64)),
        (random.normal(0, 50, (2, 64)), np.zeros(2)),
    ]
    found = scorer.Network(layers).probabilities(x)
    values = np.maximum(x.astype(np.float64) @ layers[0][0].T, 0)
    expected = softmax(values @ layers[1][0].T, axis=1)
    assert 0 < (expected.max(axis=1) < 0.99).sum() < 64
    assert np.abs(found - expected).max() < 1e-5


def test_a_score_in_full(scorer):
    queue = pa.Table.from_pylist([event("e1", deployment_state="shadow")], KEYS)
    before = datetime.now().astimezone()
    scores = Session(queue, *stored()).run(scorer, is_incremental=False)
    assert scores.schema == scorer.SCORE_SCHEMA
    (row,) = scores.to_pylist()
    scored_at, probabilities = row.pop("scored_at"), row.pop("probabilities")
    assert row == {
        "prediction_id": "of e1",
        "classifier_id": "c",
        "model_id": "m",
        "event_id": "e1",
        "deployment_state": "shadow",
    }
    assert probabilities == pytest.approx([1 / (1 + np.exp(3)), 1 / (1 + np.exp(-3))], abs=1e-12)
    assert 0 <= (scored_at - scorer.naive_utc(before)).total_seconds() < 60


def test_one_moment_for_all_batches_of_a_run(scorer, monkeypatch):
    monkeypatch.setattr(scorer, "BATCH_ROWS", 2_048)
    queue = pa.Table.from_pylist([event(f"e{number}") for number in range(5_000)], KEYS)
    scores = Session(queue, *stored()).run(scorer, is_incremental=False)
    assert scores["event_id"].num_chunks > 1
    assert len(scores["scored_at"].unique()) == 1
    assert sorted(scores["event_id"].to_pylist()) == sorted(queue["event_id"].to_pylist())


def test_a_scored_event_is_not_scored_again(scorer):
    queue = pa.Table.from_pylist([event("old"), event("new")], KEYS)
    first = Session(queue.slice(0, 1), *stored()).run(scorer, is_incremental=False)
    second = Session(queue, *stored(), first)
    assert second.run(scorer)["event_id"].to_pylist() == ["new"]


def test_a_new_champion_scores_only_what_is_new(scorer):
    queue = pa.Table.from_pylist(
        [event("old", model_id="next"), event("new", model_id="next")], KEYS
    )
    scores = Session(pa.Table.from_pylist([event("old")], KEYS), *stored()).run(
        scorer, is_incremental=False
    )
    found = Session(queue, *stored(model_id="next"), scores).run(scorer)
    assert found.select(["model_id", "event_id"]).to_pylist() == [
        {"model_id": "next", "event_id": "new"}
    ]


def test_another_classifier_scores_the_same_event(scorer):
    scores = Session(pa.Table.from_pylist([event("e")], KEYS), *stored()).run(
        scorer, is_incremental=False
    )
    queue = pa.Table.from_pylist([event("e"), event("e", classifier_id="d", model_id="n")], KEYS)
    (models, units), (more_models, more_units) = stored(), stored(model_id="n")
    session = Session(
        queue,
        pa.concat_tables([models, more_models]),
        pa.concat_tables([units, more_units]),
        scores,
    )
    assert session.run(scorer)["classifier_id"].to_pylist() == ["d"]


@pytest.mark.parametrize(
    ("rescore_from", "rescored"),
    [
        ("", []),
        ("2026-10-02", ["second", "third"]),  # the moment itself is included
        ("2026-10-02T00:00:01", ["third"]),
        ("2026-10-04", []),
    ],
)
def test_rescore_from_scores_history_by_the_new_champion_only(scorer, rescore_from, rescored):
    days = {"first": 1, "second": 2, "third": 3}
    third = datetime(2026, 10, 3, 12)
    history = [event(name, landed_at=datetime(2026, 10, day)) for name, day in days.items()]
    history[2]["landed_at"] = third
    history.append(event("done", landed_at=third))
    scores = Session(pa.Table.from_pylist(history, KEYS), *stored()).run(
        scorer, is_incremental=False
    )
    done = scores.filter(pa.compute.equal(scores["event_id"], "done"))
    done = done.set_column(2, "model_id", pa.array(["next"]))
    queue = pa.Table.from_pylist([row | {"model_id": "next"} for row in history], KEYS)
    session = Session(queue, *stored(model_id="next"), pa.concat_tables([scores, done]))
    found = session.run(scorer, rescore_from)
    assert sorted(found["event_id"].to_pylist()) == rescored
    assert set(found["model_id"].to_pylist()) <= {"next"}


@pytest.mark.parametrize("moment", ["last week", "2026-10-02T23:30:00-01:00", "None"])
def test_a_bad_rescore_from_is_refused(scorer, moment):
    with pytest.raises(ValueError, match=f"rescore_from: '{moment}' is no UTC moment; write"):
        scorer.moment_of(moment)


def test_nothing_to_score_reads_no_vector_and_no_weight(scorer, capsys):
    queue = pa.Table.from_pylist([event("e")], KEYS)
    scores = Session(queue, *stored()).run(scorer, is_incremental=False)
    session = Session(queue, *stored(), scores)
    session.connection.execute(
        "create or replace table keys as from prediction_queue; drop table prediction_queue;"
        "create view prediction_queue as select * exclude (embedding),"
        " error('a vector was read')::float[] as embedding from keys"
    )
    found = session.run(scorer)
    assert found.num_rows == 0
    assert found.schema == scorer.SCORE_SCHEMA
    assert "nothing to score" in capsys.readouterr().out
    assert not any("classifier_units" in query for query in session.queries)

    session.connection.execute("delete from prediction_scores")
    with pytest.raises(duckdb.Error, match="a vector was read"):
        session.run(scorer)


def test_vectors_landed_before_the_first_missing_one_are_not_read(scorer):
    days = [event(f"e{day}", landed_at=datetime(2026, 10, day)) for day in (1, 2, 3)]
    queue = pa.Table.from_pylist(days, KEYS)
    scores = Session(queue.slice(0, 2), *stored()).run(scorer, is_incremental=False)
    session = Session(queue, *stored(), scores)
    assert session.run(scorer)["event_id"].to_pylist() == ["e3"]
    assert "landed_at >= timestamp '2026-10-03 00:00:00'" in session.queries[-1]


def test_empty_inputs_give_an_empty_typed_table(scorer):
    tables = (KEYS.empty_table(), *(part.slice(0, 0) for part in stored()))
    for is_incremental, scores in ((False, None), (True, scorer.SCORE_SCHEMA.empty_table())):
        found = Session(*tables, scores).run(scorer, is_incremental=is_incremental)
        assert found.num_rows == 0
        assert found.schema == scorer.SCORE_SCHEMA


def test_rows_without_a_usable_vector_are_counted_not_scored(scorer, capsys):
    vectors = {"null": None, "empty": [], "nan": [1.0, float("nan")], "hole": [None, 1.0]}
    rows = [event(name, vector) for name, vector in vectors.items()]
    queue = pa.Table.from_pylist([*rows, event("good")], KEYS)
    found = Session(queue, *stored()).run(scorer, is_incremental=False)
    assert found["event_id"].to_pylist() == ["good"]
    out = capsys.readouterr().out
    assert "scored 1 events" in out
    assert "4 events have no usable vector" in out

    only_bad = Session(queue.slice(0, 4), *stored()).run(scorer, is_incremental=False)
    assert only_bad.num_rows == 0


def test_vectors_of_another_length_are_refused(scorer):
    queue = pa.Table.from_pylist([event("e", [1.0, 2.0, 3.0])], KEYS)
    with pytest.raises(ValueError, match=r"takes vectors of length 2, the queue gives \[3\]"):
        Session(queue, *stored()).run(scorer, is_incremental=False)


def test_a_model_without_weights_is_refused(scorer):
    queue = pa.Table.from_pylist([event("e", model_id="unknown")], KEYS)
    with pytest.raises(ValueError, match="model unknown, which has no stored weights"):
        Session(queue, *stored()).run(scorer, is_incremental=False)


ZERO, ONE = (1, 0, 0.0, [0.0, 0.0]), (1, 1, 0.0, [1.0, 1.0])


@pytest.mark.parametrize(
    ("architecture", "units", "message"),
    [
        ("linear", [], "units of layer 1"),
        ("linear", [ONE], "units of layer 1"),
        ("linear", [ZERO, ONE, ONE], "units of layer 1"),
        ("linear", [ZERO], "one unit per class"),
        ("linear", [ZERO, (1, 1, 0.0, [1.0])], "differ in length"),
        ("linear", [ZERO, (1, 1, float("nan"), [1.0, 1.0])], "not finite"),
        ("mlp", [ZERO, ONE], "units of layer 2"),
        ("mlp", [ZERO, ONE, (2, 0, 0.0, [1.0]), (2, 1, 0.0, [1.0])], "does not fit"),
    ],
)
def test_a_net_with_a_hole_is_refused(scorer, architecture, units, message):
    with pytest.raises(ValueError, match=message):
        scorer.networks_of(*stored(architecture, units=units))


def test_large_logits_do_not_overflow(scorer):
    network = scorer.Network([(np.array([[0.0], [1e4]]), np.zeros(2))])
    assert network.probabilities(np.array([[1.0], [-1.0]])).tolist() == [[0.0, 1.0], [1.0, 0.0]]


def test_batches_come_in_their_order_however_many_are_scored_at_a_time(scorer, monkeypatch):
    (network,) = scorer.networks_of(*stored()).values()
    ids = [f"e{number}" for number in range(60)]
    queue = pa.Table.from_pylist([event(name, model_id="m") for name in ids], KEYS)
    moment = datetime(2026, 11, 1)
    for cores in (1, 4):
        monkeypatch.setattr(scorer.os, "cpu_count", lambda cores=cores: cores)
        read = []

        def batches(read=read):
            for batch in queue.to_batches(2):
                read.append(batch)
                yield batch

        scored = scorer.score_batches(batches(), {"m": network}, moment)
        first = next(scored)
        assert len(read) == cores + 1, "more is held than is computed with"
        found = pa.Table.from_batches([first, *scored])
        assert found["event_id"].to_pylist() == ids
