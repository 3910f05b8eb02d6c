from datetime import datetime

import duckdb
import numpy as np
import pyarrow as pa
import pytest
import torch
from python_models import (
    DOOR_SCHEMA,
    QUEUE_SCHEMA,
    TRAINED_AT,
    examples,
    logits_from_rows,
    matrix,
    of_type,
    queue_row,
    train_on,
)
from scipy.special import log_softmax, softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_info, threadpool_limits

TRAIN_SEED, VALIDATION_SEED = 1, 2


def trained(trainer, row, train=None, validation=None, **studies):
    classes = len(row["classes"])
    train = examples(120, classes, TRAIN_SEED) if train is None else train
    validation = examples(60, classes, VALIDATION_SEED) if validation is None else validation
    counts = {"train_count": train.num_rows, "validation_count": validation.num_rows}
    return train_on(trainer, row | counts, train, validation, **studies)


@pytest.mark.parametrize("classes", [2, 3, 4, 5])
def test_linear_rows_are_the_sklearn_pipeline_with_its_temperature(trainer, classes):
    row = queue_row("linear", classes)
    records = trained(trainer, row)
    train, fresh = examples(120, classes, TRAIN_SEED), examples(40, classes, 9)

    scaler = StandardScaler().fit(matrix(train))
    strength = 1 / (120 * row["weight_decay"])
    regression = LogisticRegression(C=strength, max_iter=2_000, tol=1e-8)
    regression.fit(scaler.transform(matrix(train)), train["label"].to_pylist())
    scores = regression.decision_function(scaler.transform(matrix(fresh)))
    if classes == 2:
        scores = np.column_stack([np.zeros(len(scores)), scores])

    temperature = of_type(records, "model")[0]["temperature"]
    assert abs(temperature - 1) > 1e-3, "a temperature of one would hide that it is not applied"
    expected = softmax(scores / temperature, axis=1)
    found = softmax(logits_from_rows(records, matrix(fresh)), axis=1)
    assert np.abs(found - expected).max() < 1e-5


@pytest.mark.parametrize("classes", [2, 3, 4, 5])
def test_mlp_rows_are_the_torch_net_with_its_scaling_and_temperature(trainer, classes, monkeypatch):
    fits = []

    def spy(*args):
        fits.append(trainer.fit_mlp(*args))
        return fits[-1]

    monkeypatch.setitem(trainer.FITTERS, "mlp", spy)
    records = trained(trainer, queue_row("mlp", classes))

    (first, second), scaler = (
        fits[0].layers,
        StandardScaler().fit(matrix(examples(120, classes, TRAIN_SEED))),
    )
    net = torch.nn.Sequential(
        torch.nn.Linear(5, 6), torch.nn.ReLU(), torch.nn.Linear(6, classes)
    ).double()
    with torch.no_grad():
        for linear, (weights, bias) in ((net[0], first), (net[2], second)):
            linear.weight.copy_(torch.from_numpy(weights))
            linear.bias.copy_(torch.from_numpy(bias))
        fresh = matrix(examples(40, classes, 9))
        temperature = of_type(records, "model")[0]["temperature"]
        assert abs(temperature - 1) > 1e-3
        logits = net(torch.from_numpy(scaler.transform(fresh))) / temperature
        expected = logits.softmax(dim=1).numpy()

    assert np.abs(softmax(logits_from_rows(records, fresh), axis=1) - expected).max() < 1e-6


@pytest.mark.parametrize("architecture", ["linear", "mlp"])
@pytest.mark.parametrize("classes", [2, 3])
def test_balanced_classes_count_the_same(trainer, architecture, classes):
    """The weights are scikit-learn's; the probabilities stay those of the data as it is."""
    skewed = examples(600, classes, TRAIN_SEED)
    is_rare = np.array(skewed["label"].to_pylist()) == "label_0"
    skewed = skewed.filter(pa.array(~is_rare | (np.arange(600) % 10 == 0)))
    row = queue_row(architecture, classes, class_weighting="balanced", weight_decay=1e-3)
    records = trained(trainer, row, skewed, skewed)
    labels = np.array(skewed["label"].to_pylist())
    shares = softmax(logits_from_rows(records, matrix(skewed)), axis=1)
    frequencies = [np.mean(labels == name) for name in row["classes"]]
    assert np.abs(shares.mean(axis=0) - frequencies).max() < 0.03

    unweighted = trained(trainer, row | {"class_weighting": None}, skewed, skewed)
    assert not unweighted["weights"].equals(records["weights"])
    if architecture == "linear":
        scaler = StandardScaler().fit(matrix(skewed))
        regression = LogisticRegression(
            C=1 / (len(labels) * 1e-3), max_iter=5_000, tol=1e-9, class_weight="balanced"
        ).fit(scaler.transform(matrix(skewed)), labels)
        expected = regression.predict_log_proba(scaler.transform(matrix(skewed)))
        factors = np.log([len(labels) / classes / np.sum(labels == it) for it in row["classes"]])
        temperature = of_type(records, "model")[0]["temperature"]
        expected = softmax((expected - factors) / temperature, axis=1)
        assert np.abs(shares - expected).max() < 1e-5


def test_the_best_epoch_is_restored(trainer, monkeypatch):
    monkeypatch.setattr(trainer, "LEARNING_RATE", 0.05)  # so that it overshoots and must go back
    records = trained(trainer, queue_row("mlp"))
    about, epochs = of_type(records, "model")[0], of_type(records, "epoch")

    losses = [epoch["validation_loss"] for epoch in epochs]
    assert [epoch["epoch"] for epoch in epochs if epoch["is_best"]] == [about["best_epoch"]]
    assert losses[about["best_epoch"] - 1] == min(losses)
    assert len(epochs) == about["best_epoch"] + trainer.PATIENCE

    validation = examples(60, 2, VALIDATION_SEED)
    logits = logits_from_rows(records, matrix(validation)) * about["temperature"]
    y = [int(label[-1]) for label in validation["label"].to_pylist()]
    own_loss = -log_softmax(logits, axis=1)[np.arange(60), y].mean()
    assert own_loss == pytest.approx(min(losses), abs=1e-5)


@pytest.mark.parametrize("architecture", ["linear", "mlp"])
def test_no_other_temperature_fits_the_validation_split_better(trainer, architecture):
    records = trained(trainer, queue_row(architecture, 3))
    validation = examples(60, 3, VALIDATION_SEED)
    logits, labels = logits_from_rows(records, matrix(validation)), validation["label"].to_pylist()

    def loss(factor):
        return log_loss(labels, softmax(logits * factor, axis=1))

    assert loss(1.0) < min(loss(0.97), loss(1.03))


def test_binary_linear_has_a_unit_of_zeros(trainer):
    units = of_type(trained(trainer, queue_row("linear", 2)), "unit")
    assert [unit["unit"] for unit in units] == [0, 1]
    assert units[0]["bias"] == 0
    assert units[0]["weights"] == [0] * 5
    assert any(units[1]["weights"])


@pytest.mark.parametrize("architecture", ["linear", "mlp"])
def test_equal_inputs_give_equal_bytes(trainer, architecture):
    row = queue_row(architecture, 3)
    torch.manual_seed(98)
    first = trained(trainer, row)
    torch.manual_seed(99)  # what happened before in the process must not matter
    assert trained(trainer, row).equals(first)
    other = trained(trainer, row | {"seed": 4})
    if architecture == "mlp":
        assert not other["weights"].equals(first["weights"]), "the seed has no effect"


@pytest.mark.parametrize("architecture", ["linear", "mlp"])
def test_the_order_of_rows_does_not_matter(trainer, architecture):
    train, validation = examples(120, 3, TRAIN_SEED), examples(60, 3, VALIDATION_SEED)
    random = np.random.default_rng(0)
    shuffled = [
        part.take(pa.array(random.permutation(part.num_rows))) for part in (train, validation)
    ]
    row = queue_row(architecture, 3)
    assert trained(trainer, row, *shuffled).equals(trained(trainer, row, train, validation))


@pytest.fixture
def many_blocks(trainer, monkeypatch) -> None:
    """120 vectors of 5 numbers take 2,400 bytes: eight blocks in files."""
    monkeypatch.setattr(trainer, "MEMORY_BYTES", 1_000)
    monkeypatch.setattr(trainer, "BLOCK_BYTES", 300)


@pytest.mark.usefixtures("many_blocks")
@pytest.mark.parametrize("architecture", ["linear", "mlp"])
def test_a_block_in_which_a_share_has_nobody_changes_no_loss(trainer, architecture, monkeypatch):
    studies = {"customer_shares": [0.08, 0.12]}
    in_blocks = of_type(trained(trainer, queue_row(architecture, 3), **studies), "epoch")
    assert {row["trial"] for row in in_blocks} == {1, 2, 3}
    monkeypatch.undo()
    monkeypatch.setattr(trainer, "LEARNING_RATE", 0.01)
    at_once = of_type(trained(trainer, queue_row(architecture, 3), **studies), "epoch")
    first, other = (
        [row["train_loss"] for row in epochs if row["epoch"] == 1]
        for epochs in (in_blocks, at_once)
    )
    # batches of other examples
    assert first == pytest.approx(other, rel={"linear": 1e-6, "mlp": 0.2}[architecture])


@pytest.mark.usefixtures("many_blocks")
@pytest.mark.parametrize("architecture", ["linear", "mlp"])
def test_what_does_not_fit_into_memory_is_trained_on_as_well(trainer, architecture, monkeypatch):
    row = queue_row(architecture, 3)
    train, validation = examples(120, 3, TRAIN_SEED), examples(60, 3, VALIDATION_SEED)
    random = np.random.default_rng(0)
    shuffled = train.take(pa.array(random.permutation(120)))
    split = trainer.Examples(shuffled.to_batches(7), 120, 5)
    assert len(split.blocks) == 8
    assert min(len(block.codes) for block in split.blocks) > 5
    held = np.concatenate([block.vectors() for block in split.blocks])
    assert sorted(map(tuple, held)) == sorted(map(tuple, matrix(train).astype(np.float32)))

    in_blocks = trained(trainer, row, train, validation)
    assert trained(trainer, row, shuffled, validation).equals(in_blocks)
    monkeypatch.undo()
    monkeypatch.setattr(trainer, "LEARNING_RATE", 0.01)
    at_once = trained(trainer, row, train, validation)
    assert not at_once.equals(in_blocks)
    fresh = matrix(examples(200, 3, 9))
    one, other = (softmax(logits_from_rows(it, fresh), axis=1) for it in (at_once, in_blocks))
    # a sum in another order; batches of other examples
    assert np.abs(one - other).mean() < {"linear": 1e-6, "mlp": 0.05}[architecture]


@pytest.mark.parametrize("architecture", ["linear", "mlp"])
def test_threads_do_not_matter(trainer, architecture, monkeypatch):
    row, used, found = queue_row(architecture, 3), [], []
    fit = trainer.FITTERS[architecture]

    def spy(*args):
        used.extend(pool["num_threads"] for pool in threadpool_info())
        used.append(torch.get_num_threads())
        return fit(*args)

    monkeypatch.setitem(trainer.FITTERS, architecture, spy)
    before = torch.get_num_threads()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        with threadpool_limits(limits=threads):
            found.append(trained(trainer, row))
    torch.set_num_threads(before)
    assert found[0].equals(found[1])
    # so small a net would be added up alike by two
    assert len(used) > 4
    assert set(used) == {1}


@pytest.mark.parametrize(("mean", "deviation"), [(0, 1), (100, 0.01), (1_000, 0.01)])
def test_the_stored_function_scales_as_the_training_did(trainer, mean, deviation):
    vectors = np.random.default_rng(0).normal(mean, deviation, (500, 8)).astype(np.float32)
    rows = examples(500, 2, TRAIN_SEED)
    listed = pa.array(list(vectors), rows.schema.field("embedding").type)
    rows = rows.set_column(rows.schema.get_field_index("embedding"), "embedding", listed)
    split = trainer.Examples(rows.to_batches(), 500, 8)
    raw = split.blocks[0].vectors()
    scaling = split.scaling()
    split.scale(scaling)
    layers = [(np.random.default_rng(1).normal(size=(2, 8)), np.zeros(2))]
    stored = trainer.forward(trainer.fold(layers, *scaling, 1.0), raw)
    trained_on = trainer.forward(layers, split.blocks[0].vectors())
    assert np.abs(stored - trained_on).max() < 1e-5


def test_a_training_that_diverges_makes_no_model(trainer):
    with pytest.raises(ValueError, match="diverged; give it a smaller weight_decay"):
        trained(trainer, queue_row("mlp", weight_decay=1e7))


@pytest.mark.parametrize(
    ("studies", "told"),
    [
        ({"seed_count": 0}, "training_seeds: 0 is not 1 or more"),
        ({"customer_shares": (0.5, 25)}, "learning_curve_shares: 25 is not above 0"),
        ({"customer_shares": (0,)}, "learning_curve_shares: 0 is not above 0"),
    ],
)
def test_studies_of_nobody_are_refused(trainer, studies, told):
    with pytest.raises(ValueError, match=told):
        trainer.Studies(**studies)


def test_a_batch_grows_with_the_examples(trainer):
    sizes = {count: trainer.batch_size_of(count) for count in (5, 300, 2_000, 40_000, 10**6)}
    assert sizes == {5: 8, 300: 9, 2_000: 62, 40_000: 78, 10**6: 1_024}


def test_training_leaves_the_random_state_alone(trainer):
    state = torch.get_rng_state()
    trained(trainer, queue_row("mlp"))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("architecture", ["linear", "mlp"])
@pytest.mark.parametrize("kept", [[], ["label_1"], ["label_1", "label_1", "never_trained"]])
def test_a_validation_split_that_cannot_judge(trainer, architecture, kept, capsys):
    validation = examples(len(kept), 2, VALIDATION_SEED)
    validation = validation.set_column(2, "label", pa.array(kept, pa.string()))
    records = trained(trainer, queue_row(architecture), validation=validation)

    about, epochs = of_type(records, "model")[0], of_type(records, "epoch")
    assert about["temperature"] == 1
    assert len(epochs) == (trainer.FIXED_EPOCHS if architecture == "mlp" else 1)
    assert about["best_epoch"] == len(epochs)
    assert [epoch["validation_loss"] for epoch in epochs] == [None] * len(epochs)
    assert "temperature 1" in capsys.readouterr().out


def test_a_label_that_was_never_trained_is_set_aside(trainer):
    validation = examples(60, 2, VALIDATION_SEED)
    stranger = validation.slice(0, 1).set_column(2, "label", pa.array(["never_trained"]))
    stranger = stranger.set_column(1, "object_id", pa.array(["a stranger"]))
    both = pa.concat_tables([validation, stranger])
    row = queue_row("mlp")
    with_it, without = trained(trainer, row, validation=both), trained(trainer, row)
    assert with_it["weights"].equals(without["weights"])
    assert of_type(with_it, "model")[0]["validation_count"] == 61


def test_examples_of_another_snapshot_or_encoder_are_not_read(trainer):
    rows = pa.Table.from_pylist(
        [
            {
                "snapshot_id": snapshot,
                "encoder_fingerprint": encoder,
                "object_id": snapshot + encoder,
            }
            for snapshot in ("snapshot", "older")
            for encoder in ("fingerprint", "another")
        ],
        DOOR_SCHEMA,
    )
    door = duckdb.connect().from_arrow(rows)
    batches = trainer.read_examples(door, "snapshot", "fingerprint", is_bigframes=False)
    read = [row["object_id"] for batch in batches for row in batch.to_pylist()]
    assert read == ["snapshotfingerprint"]


def test_what_is_trained_or_blocked_is_left_out(trainer, capsys):
    rows = [
        queue_row(model_id="new"),
        queue_row(model_id="held"),
        queue_row(model_id="blocked", classifier_id="tone_of_one", blocked_by="one_class_only"),
    ]
    queue = pa.Table.from_pylist(rows, QUEUE_SCHEMA)
    assert [row["model_id"] for row in trainer.models_to_train(queue, {"held"})] == ["new"]
    out = capsys.readouterr().out
    assert "tone_of_one is not trained: one_class_only" in out
    assert out.count("\n") == 1


def test_an_empty_queue_reads_no_example(trainer):
    def read(*_):
        raise AssertionError("examples were read")

    wanted = trainer.models_to_train(QUEUE_SCHEMA.empty_table(), set())
    records = trainer.train_all(wanted, read, TRAINED_AT, trainer.Studies())
    assert records.num_rows == 0
    assert records.schema == trainer.RECORD_SCHEMA


def test_examples_are_read_once_for_all_their_models(trainer):
    rows = [
        queue_row("linear", model_id="a"),
        queue_row("linear", model_id="b", snapshot_id="other"),
        queue_row("linear", model_id="c"),
    ]
    reads = []

    def read(split, *key):
        reads.append((split, *key))
        seed = {"train": (120, 2, TRAIN_SEED), "validation": (60, 2, VALIDATION_SEED)}[split]
        return examples(*seed).to_batches()

    wanted = trainer.models_to_train(pa.Table.from_pylist(rows, QUEUE_SCHEMA), set())
    records = trainer.train_all(wanted, read, TRAINED_AT, trainer.Studies())
    assert reads == [
        (split, snapshot, "fingerprint")
        for snapshot in ("other", "snapshot")
        for split in ("train", "validation")
    ]
    assert sorted(row["model_id"] for row in of_type(records, "model")) == ["a", "b", "c"]


def test_what_takes_longest_is_trained_first(trainer):
    """How long it may take is told from those before it."""
    rows = [
        queue_row("linear", model_id="a"),
        queue_row("mlp", model_id="b", hidden_units=4),
        queue_row("mlp", model_id="c", hidden_units=8),
        queue_row("linear", model_id="d", snapshot_id="larger", train_count=500),
        queue_row("linear", model_id="e", encoder_fingerprint="wider", embedding_dim=400),
    ]
    wanted = trainer.models_to_train(pa.Table.from_pylist(rows, QUEUE_SCHEMA), set())
    assert [row["model_id"] for row in wanted] == ["e", "d", "c", "b", "a"]


def test_when_time_is_over_the_next_build_goes_on(trainer, capsys):
    queue = [queue_row("linear", model_id=name, classifier_id=f"of {name}") for name in "abc"]
    splits = {"train": examples(120, 2, TRAIN_SEED), "validation": examples(60, 2, VALIDATION_SEED)}
    held: list[str] = []
    while len(held) < len(queue):
        wanted = trainer.models_to_train(pa.Table.from_pylist(queue, QUEUE_SCHEMA), set(held))
        records = trainer.train_all(
            wanted, lambda split, *_: splits[split].to_batches(), TRAINED_AT, trainer.Studies(), 0
        )
        held += [row["model_id"] for row in of_type(records, "model")]
        assert capsys.readouterr().out.count("trained of ") == 1
    assert held == ["a", "b", "c"]


def test_a_short_training_is_not_left_for_a_long_one_before_it(trainer, monkeypatch):
    rows = [queue_row("mlp", model_id="long"), *(queue_row("linear", model_id=it) for it in "abcd")]
    now, seconds = [0.0], {"mlp": 25.0, "linear": 8.0}

    def train(config, *_):
        now[0] += seconds[config["architecture"]]
        return trained_records[config["architecture"]]

    trained_records = {
        row["architecture"]: trained(trainer, row)
        for row in (queue_row("mlp"), queue_row("linear"))
    }
    monkeypatch.setattr(trainer.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(trainer, "train", train)
    splits = {"train": examples(120, 2, TRAIN_SEED), "validation": examples(60, 2, VALIDATION_SEED)}
    wanted = trainer.models_to_train(pa.Table.from_pylist(rows, QUEUE_SCHEMA), set())
    records = trainer.train_all(
        wanted, lambda split, *_: splits[split].to_batches(), TRAINED_AT, trainer.Studies(), 45
    )
    found = [row["architecture"] for row in of_type(records, "model")]
    assert found == ["mlp", "linear", "linear"]


def test_records_carry_the_queue_and_fit_their_schema(trainer):
    row = queue_row("mlp", 3)
    records = trained(trainer, row)
    assert records.schema == trainer.RECORD_SCHEMA
    about = of_type(records, "model")[0]
    copied = {name: value for name, value in row.items() if name in about}
    assert {name: about[name] for name in copied} == copied
    assert set(row) - set(copied) == {"blocked_by"}
    assert about["trained_at"] == datetime(2026, 11, 1, 12)
    assert torch.__version__ in about["runtime"]

    units = of_type(records, "unit")
    shape = [(unit["layer"], unit["unit"], len(unit["weights"])) for unit in units]
    assert shape == [(1, n, 5) for n in range(6)] + [(2, n, 6) for n in range(3)]
    assert all(unit["classes"] is None and unit["epoch"] is None for unit in units)


def test_a_queue_of_another_trainer_is_refused(trainer):
    queue = pa.Table.from_pylist([queue_row() | {"trainer_version": "0"}], QUEUE_SCHEMA)
    with pytest.raises(ValueError, match="trainer version '0'"):
        trainer.models_to_train(queue, set())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_count": 119}, "counts 119 train examples, dataset_train has 120"),
        ({"validation_count": 0}, "counts 0 validation examples"),
        ({"embedding_dim": 4}, "vectors of length 5, the queue says 4"),
        ({"classes": ["label_0"]}, "not the queue's classes"),
        ({"classes": ["label_0", "label_1", "label_2"]}, "not the queue's classes"),
        ({"architecture": "transformer"}, "unknown architecture"),
    ],
)
def test_examples_that_are_not_what_the_queue_says_are_refused(trainer, changes, message):
    with pytest.raises(ValueError, match=message):
        train_on(
            trainer,
            queue_row() | changes,
            examples(120, 2, TRAIN_SEED),
            examples(60, 2, VALIDATION_SEED),
        )


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        ([[1.0, 2.0], None], "no vector"),
        ([[1.0, 2.0], [1.0]], "different lengths"),
        ([[1.0, 2.0], [1.0, float("nan")]], "not finite|NaN"),
        ([[1.0, 2.0], [1.0, None]], "null"),
    ],
)
def test_a_broken_vector_is_refused(trainer, vectors, message):
    with pytest.raises(ValueError, match=message):
        trainer.matrix_of(pa.array(vectors, pa.list_(pa.float32())))


def test_vectors_are_not_copied(trainer):
    vectors = pa.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], pa.list_(pa.float32()))
    matrix_seen = trainer.matrix_of(vectors.slice(1))
    assert matrix_seen.tolist() == [[3.0, 4.0], [5.0, 6.0]]
    assert not matrix_seen.flags.owndata
    assert np.shares_memory(matrix_seen, vectors.flatten().to_numpy())
