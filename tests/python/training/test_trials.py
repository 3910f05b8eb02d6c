"""What is tried before a model is kept: weight decays, seeds, fewer customers; and its threshold."""

import itertools
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from python_models import examples, of_type, queue_row, train_on

TRAIN, VALIDATION = examples(120, 2, 1), examples(60, 2, 2)


def trials_of(trainer, row, train=TRAIN, validation=VALIDATION, **studies) -> list[dict]:
    counts = {"train_count": train.num_rows, "validation_count": validation.num_rows}
    records = train_on(trainer, row | counts, train, validation, **studies)
    trials, epochs = of_type(records, "trial"), of_type(records, "epoch")
    for trial in trials:
        own = [it["validation_loss"] for it in epochs if it["trial"] == trial["trial"]]
        assert [it["epoch"] for it in epochs if it["trial"] == trial["trial"]] == [
            *range(1, len(own) + 1)
        ]
        assert own[trial["best_epoch"] - 1] == trial["validation_loss"]
    assert {it["trial"] for it in epochs} == {it["trial"] for it in trials}
    about = of_type(records, "model")[0]
    (kept,) = (trial for trial in trials if trial["is_kept"])
    assert {name: about[name] for name in ("weight_decay", "seed", "train_count")} == {
        name: kept[name] for name in ("weight_decay", "seed", "train_count")
    }
    return trials


@pytest.mark.parametrize("architecture", ["linear", "mlp"])
def test_the_weight_decay_of_the_least_validation_loss_is_kept(trainer, architecture):
    row = queue_row(architecture, weight_decay=None)
    trials = trials_of(trainer, row)
    assert [it["weight_decay"] for it in trials] == [*trainer.WEIGHT_DECAYS[architecture]]
    best = min(trials, key=lambda it: it["validation_loss"])
    assert best["is_kept"]
    assert len({it["validation_loss"] for it in trials}) == len(trials)
    # the model is the one that a fixed decay gives
    counts = {"train_count": 120, "validation_count": 60}
    searched, fixed = (
        train_on(trainer, row | counts | {"weight_decay": decay}, TRAIN, VALIDATION)
        for decay in (None, best["weight_decay"])
    )
    assert of_type(searched, "unit") == of_type(fixed, "unit")


@pytest.mark.parametrize("architecture", ["linear", "mlp"])
def test_without_a_validation_split_nothing_is_searched(trainer, architecture):
    row = queue_row(architecture, weight_decay=None)
    (trial,) = trials_of(
        trainer, row, validation=VALIDATION.slice(0, 0), seed_count=3, customer_shares=(0.5,)
    )
    assert trial["weight_decay"] == trainer.WEIGHT_DECAYS[architecture][0]
    assert trial["validation_loss"] is None


def test_other_seeds_show_their_spread_and_are_not_kept(trainer):
    trials = trials_of(trainer, queue_row(), seed_count=5)
    assert [it["seed"] for it in trials] == [3, 4, 5, 6, 7]
    assert [it["is_kept"] for it in trials] == [True, False, False, False, False]
    assert len({it["validation_loss"] for it in trials}) == 5
    # the optimum of a logistic regression is one
    assert len(trials_of(trainer, queue_row("linear"), seed_count=5)) == 1


@pytest.mark.parametrize("architecture", ["linear", "mlp"])
def test_a_learning_curve_takes_whole_customers_away(trainer, architecture):
    shares = (0.25, 0.5, 0.75)
    whole, *fewer = trials_of(trainer, queue_row(architecture), customer_shares=shares)
    assert whole["is_kept"]
    assert whole["customer_share"] == 1
    assert [it["customer_share"] for it in fewer] == [*shares]
    counts = [it["train_count"] for it in (*fewer, whole)]
    assert counts == sorted(set(counts))
    # three examples a customer
    assert [count % 3 for count in counts] == [0] * 4

    held = trainer.Examples(TRAIN.to_batches(), 120, 5)
    kept = [
        {
            int(object_number)
            for _, y in trainer.Split(held, ["label_0", "label_1"], share)._blocks
            for object_number in np.flatnonzero(y >= 0)
        }
        for share in (*shares, 1.0)
    ]
    assert all(smaller < larger for smaller, larger in itertools.pairwise(kept))


def test_a_share_without_one_of_the_labels_is_no_trial(trainer, capsys):
    rare = TRAIN["label"].to_pylist()
    rare = pa.array(["label_1" if number else "label_0" for number, _ in enumerate(rare)])
    train = TRAIN.set_column(2, "label", rare)
    validation = examples(60, 2, 2)
    trials = trials_of(trainer, queue_row(), train, validation, customer_shares=(0.001, 1.0))
    assert [it["customer_share"] for it in trials] == [1.0, 1.0]
    assert "a label has no example on 0% of the customers" in capsys.readouterr().out


def random_judgements(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of some shape, and which of the examples are positive."""
    random = np.random.default_rng(seed)
    size = [2, 3, 10, 200][seed % 4]
    found = random.random(size)
    if seed % 3 == 0:
        found = np.round(found, 1)
    is_positive = random.random(size) < found if seed % 5 else random.random(size) < 0.5
    is_positive[:2] = [True, False]
    return found, is_positive


def threshold_of(trainer, found, is_positive, **rule) -> float:
    row = queue_row(threshold_rule=rule["rule"], threshold_value=rule["value"])
    probabilities = np.stack([found, 1 - found], axis=1)
    return trainer.decision_threshold(row, probabilities, np.where(is_positive, 0, 1))


def every_decision(found: np.ndarray) -> list[np.ndarray]:
    """What any threshold at all can call positive, fewest first."""
    return [found >= it for it in (2.0, *sorted(set(found), reverse=True))]


@pytest.mark.parametrize("ratio", [0.2, 1.0, 5.0])
def test_no_other_threshold_costs_less(trainer, ratio):
    for seed in range(60):
        found, is_positive = random_judgements(seed)

        def cost(called, is_positive=is_positive):
            return ratio * (is_positive & ~called).sum() + (called & ~is_positive).sum()

        threshold = threshold_of(trainer, found, is_positive, rule="cost_ratio", value=ratio)
        least = min(map(cost, every_decision(found)))
        assert cost(found >= threshold) == pytest.approx(least)
        # halfway between two examples
        assert threshold == 0 or np.abs(found - threshold).min() > 1e-12


@pytest.mark.parametrize("target", [0.5, 0.8, 1.0])
def test_no_other_threshold_of_that_precision_finds_more(trainer, target):
    def is_reached(right, called):
        return Fraction(int(right), max(int(called), 1)) >= Fraction(str(target)) or not called

    for seed in range(60):
        found, is_positive = random_judgements(seed)
        threshold = threshold_of(trainer, found, is_positive, rule="target_precision", value=target)
        most = max(
            (called & is_positive).sum()
            for called in every_decision(found)
            if is_reached((called & is_positive).sum(), called.sum())
        )
        called = found >= threshold
        assert (called & is_positive).sum() == most
        assert is_reached(most, called.sum())


def test_a_precision_that_is_just_reached_counts(trainer):
    is_positive = np.arange(100) < 55
    asked = {"rule": "target_precision", "value": 0.55}
    assert threshold_of(trainer, np.full(100, 0.5), is_positive, **asked) == 0.25


def test_where_no_threshold_is_precise_enough_nothing_is_called_positive(trainer):
    found, is_positive = np.array([0.9, 0.8, 0.1]), np.array([False, True, False])
    asked = {"rule": "target_precision", "value": 0.6}
    assert threshold_of(trainer, found, is_positive, **asked) == trainer.NEVER
    found[0] = 0.7
    assert threshold_of(trainer, found, is_positive, **asked) == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("rule", "value", "expected"),
    [(None, None, 0.5), ("cost_ratio", 4.0, 0.2), ("target_precision", 0.9, 0.9)],
)
def test_a_threshold_without_examples_trusts_the_probabilities(trainer, rule, value, expected):
    nothing = np.empty(0)
    assert threshold_of(trainer, nothing, nothing > 0, rule=rule, value=value) == expected


def test_a_threshold_belongs_to_a_positive_label(trainer):
    about = queue_row(classes=3, threshold_rule="cost_ratio", threshold_value=4.0)
    assert trainer.decision_threshold(about, np.empty((0, 3)), np.empty(0)) is None


def test_the_threshold_is_stored_with_the_model(trainer):
    row = queue_row(threshold_rule="cost_ratio", threshold_value=5.0, abstain_band=0.1)
    about = of_type(train_on(trainer, row, TRAIN, VALIDATION), "model")[0]
    assert (about["threshold_rule"], about["threshold_value"]) == ("cost_ratio", 5.0)
    assert about["abstain_band"] == 0.1
    assert 0 < about["decision_threshold"] < 0.5
