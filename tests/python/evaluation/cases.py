"""Random rooms of frozen examples, and what numpy and scikit-learn say of them."""

import hashlib
import itertools
import warnings
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
from scipy import stats
from sklearn import metrics

# draws that are judged by scikit-learn, too: it takes its time
REPLICATES = 10
CLASSES = ["anger", "boredom", "calm", "delight", "envy"]


@dataclass
class MetricCase:
    """One model on one split, its probabilities given."""

    model_id: str
    classes: list[str]
    positive_label: str | None
    decision_threshold: float | None
    labels: list[str]
    probabilities: np.ndarray
    split: str = "test"
    abstain_band: float | None = None
    # labels that others of the same evaluation have
    other_labels: tuple[str, ...] = ()

    @property
    def snapshot_id(self) -> str:
        return f"snapshot of {self.model_id}"


@dataclass
class Network:
    """One model with its weights, and the vectors that it scores."""

    model_id: str
    classes: list[str]
    layers: list[tuple[np.ndarray, np.ndarray]]
    vectors: np.ndarray
    labels: list[str]

    @property
    def snapshot_id(self) -> str:
        return f"snapshot of {self.model_id}"

    @property
    def encoder_fingerprint(self) -> str:
        return f"encoder of {self.model_id}"

    def probabilities(self) -> np.ndarray:
        values = self.vectors.astype(float)
        for position, (weights, bias) in enumerate(self.layers):
            values = values @ weights.T + bias
            if position < len(self.layers) - 1:
                values = np.maximum(values, 0)
        exponentials = np.exp(values - values.max(axis=1, keepdims=True))
        return exponentials / exponentials.sum(axis=1, keepdims=True)


def random_metric_cases(seed: int = 20261101) -> list[MetricCase]:
    """Sizes, ties, missing and unknown classes, in every combination that fits into 200 cases."""
    rng = np.random.default_rng(seed)
    cases = []
    for number in range(200):
        size = [1, 2, 7, 40, 250, 600][number % 6]
        class_count = [2, 2, 3, 4, 5][number % 5]
        classes = CLASSES[:class_count]
        shape = ["smooth", "tied", "certain", "constant"][number % 4]
        probabilities = _random_probabilities(rng, shape, size, class_count)
        label_kind = ["any", "any", "follows", "class_missing", "one_class", "unknown"][
            (number // 6) % 6
        ]
        labels = _random_labels(rng, label_kind, classes, probabilities)
        positive_label, threshold, band = None, None, None
        if class_count == 2 and number % 7 != 0:
            positive_label = str(rng.choice(classes))
            threshold = float(rng.choice([0.5, 0.3, 0.8]))
            band = [None, 0.1, 0.45][number % 3]
        cases.append(
            MetricCase(
                model_id=f"case_{number:03d}_{shape}_{label_kind}_{size}x{class_count}",
                classes=classes,
                positive_label=positive_label,
                decision_threshold=threshold,
                labels=labels,
                probabilities=probabilities,
                split=["test", "validation"][number % 2],
                abstain_band=band,
            )
        )
    return cases


def _random_probabilities(rng, shape, size, class_count):
    if shape == "smooth":
        return rng.dirichlet(np.ones(class_count), size)
    if shape == "tied":
        return rng.multinomial(10, np.ones(class_count) / class_count, size) / 10
    if shape == "certain":
        return np.eye(class_count)[rng.integers(class_count, size=size)]
    return np.full((size, class_count), 1 / class_count)


def _random_labels(rng, kind, classes, probabilities):
    size = len(probabilities)
    if kind == "follows":
        return [str(rng.choice(classes, p=row)) for row in probabilities]
    if kind == "class_missing":
        classes = classes[1:]
    elif kind == "one_class":
        classes = [classes[-1]]
    elif kind == "unknown":
        classes = [*classes, "of another task"]
    return [str(label) for label in rng.choice(classes, size=size)]


# dimensions, hidden units (0: linear), classes
NETWORK_SIZES = [
    *((16, 0, 2), (3, 0, 3), (384, 0, 2), (1280, 0, 20)),
    *((3, 1, 2), (16, 8, 3), (384, 8, 5), (101, 17, 7)),
    *((384, 128, 2), (768, 64, 10), (3, 256, 20), (1280, 256, 20)),
]


def random_networks(seed: int = 20261102) -> list[Network]:
    """Networks of every size that people use, one with huge logits."""
    rng = np.random.default_rng(seed)
    networks = []
    for dimension, hidden, class_count in NETWORK_SIZES:
        sizes = [dimension, hidden, class_count] if hidden else [dimension, class_count]
        scale = 1000 if (hidden, class_count) == (8, 3) else 1
        classes = [f"mood {number:02d}" for number in range(class_count)]
        layers = [
            (
                scale * rng.normal(size=(outputs, inputs)) / np.sqrt(inputs),
                rng.normal(size=outputs),
            )
            for inputs, outputs in itertools.pairwise(sizes)
        ]
        if not hidden and class_count == 2:
            # as logistic regression writes it: the first class is the reference
            layers[0][0][0], layers[0][1][0] = 0, 0
        networks.append(
            Network(
                model_id=f"network_{dimension}_{hidden}_{class_count}",
                classes=classes,
                layers=layers,
                vectors=rng.normal(size=(20, dimension)).astype(np.float32),
                labels=[str(name) for name in rng.choice(classes, size=20)],
            )
        )
    return networks


def customer_of(position: int) -> str:
    """One to four examples a customer."""
    return f"customer {int(np.sqrt(8 * position + 1) - 1) // 2 if position < 10 else position // 3}"


def length_of(position: int) -> int:
    """The length of an example's content: of two ranges."""
    return 31 + position % 2


def created_at(position: int) -> datetime:
    """When an example was created: of three ranges of age, and of tenure."""
    return datetime(2026, 10, 1) - timedelta(days=[0, 6, 7, 200][position % 4])


def training_labels(case: MetricCase) -> list[str]:
    """The labels that a case was trained on: the later in its classes, the more."""
    return [name for place, name in enumerate(case.classes, start=1) for _ in range(place)]


def majority_rule(case: MetricCase) -> MetricCase:
    """The case as somebody judges it who knows how frequent the labels are, and nothing else."""
    labels = training_labels(case)
    shares = [labels.count(name) / len(labels) for name in case.classes]
    return replace(
        case,
        probabilities=np.tile(shares, (len(case.labels), 1)),
        decision_threshold=None,
        abstain_band=None,
    )


def part_of(case: MetricCase, positions: list[int]) -> MetricCase:
    """Some examples of a case."""
    return replace(
        case,
        labels=[case.labels[position] for position in positions],
        probabilities=case.probabilities[positions],
        other_labels=tuple(case.labels),
    )


def poisson_weights(replicate: int, customers: list[str]) -> np.ndarray:
    """How often each customer is drawn: the quantile function at the hash's place in [0, 1)."""
    drawn = [hashlib.md5(f"{replicate}|{name}".encode()).hexdigest()[:15] for name in customers]
    return stats.poisson.ppf([(int(it, 16) % 10**12 + 0.5) / 10**12 for it in drawn], 1)


def reference_replicates(case: MetricCase) -> list[dict[str, float | None]]:
    """Each draw's metrics by scikit-learn, with its sample weights; None where they are undefined."""
    classes = sorted({*case.classes, *case.labels})
    probabilities = np.zeros((len(case.labels), len(classes)))
    for position, name in enumerate(case.classes):
        probabilities[:, classes.index(name)] = case.probabilities[:, position]
    labels, predicted = np.array(case.labels), np.array(predicted_labels(case))
    judged = [case.positive_label] if case.positive_label else classes
    customers = [customer_of(position) for position in range(len(labels))]
    found = []
    for replicate in range(1, REPLICATES + 1):
        weights = poisson_weights(replicate, customers)
        if not weights.any():
            continue
        kept = weights > 0
        columns = [
            (labels[kept] == name, probabilities[kept, classes.index(name)]) for name in judged
        ]
        values = dict.fromkeys(("roc_auc", "roc_auc_of_labels", "pr_auc"))
        ranked = [it for it in columns if it[0].any() and not it[0].all()]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if ranked:
                values["roc_auc_of_labels"] = np.mean(
                    [metrics.roc_auc_score(*it, sample_weight=weights[kept]) for it in ranked]
                )
            if len(ranked) == len(columns):
                values["roc_auc"] = values["roc_auc_of_labels"]
            if all(truth.any() for truth, _ in columns):
                values["pr_auc"] = np.mean(
                    [
                        metrics.average_precision_score(*it, sample_weight=weights[kept])
                        for it in columns
                    ]
                )
            values["log_loss"] = metrics.log_loss(
                labels[kept], probabilities[kept], labels=classes, sample_weight=weights[kept]
            )
        values["brier"] = sum(
            np.average((truth - values) ** 2, weights=weights[kept]) for truth, values in columns
        )
        values["accuracy"] = metrics.accuracy_score(
            labels[kept], predicted[kept], sample_weight=weights[kept]
        )
        found.append(values)
    return found


def predicted_labels(case: MetricCase) -> list[str]:
    """The decision rule, written down a second time."""
    if case.decision_threshold is None:
        return [case.classes[position] for position in case.probabilities.argmax(axis=1)]
    positive = case.classes.index(case.positive_label)
    other = case.classes[1 - positive]
    return [
        case.positive_label if row[positive] >= case.decision_threshold else other
        for row in case.probabilities
    ]


def reference_metrics(case: MetricCase) -> dict[str, float | None]:
    """Every metric by scikit-learn (ECE by numpy); None where it is undefined.

    A label that the model does not know is one more class, with probability zero.
    """
    seen = {*case.labels, *case.other_labels}
    known = [*case.classes, *sorted(seen - set(case.classes))]
    classes = sorted(known)
    extended = np.zeros((len(case.labels), len(known)))
    extended[:, : len(case.classes)] = case.probabilities
    probabilities = extended[:, [known.index(name) for name in classes]]
    labels = np.array(case.labels)
    predicted = np.array(predicted_labels(case))
    judged = [case.positive_label] if case.positive_label else classes
    columns = [(labels == name, probabilities[:, classes.index(name)]) for name in judged]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        roc_auc = pr_auc = None
        if all(truth.any() and not truth.all() for truth, _ in columns):
            roc_auc = np.mean([metrics.roc_auc_score(*column) for column in columns])
            if len(judged) > 2:
                # our one-vs-rest is theirs
                assert np.isclose(
                    roc_auc, metrics.roc_auc_score(labels, probabilities, multi_class="ovr")
                )
        if all(truth.any() for truth, _ in columns):
            pr_auc = np.mean([metrics.average_precision_score(*column) for column in columns])
        if case.positive_label:
            brier = metrics.brier_score_loss(*columns[0], pos_label=True)
        else:
            brier = metrics.brier_score_loss(
                labels, probabilities, labels=classes, scale_by_half=False
            )
        return {
            "roc_auc": roc_auc,
            "pr_auc": pr_auc,
            "log_loss": metrics.log_loss(labels, probabilities, labels=classes),
            "brier": brier,
            "ece": _expected_calibration_error(case, labels, predicted),
            "accuracy": metrics.accuracy_score(labels, predicted),
            "macro_f1": metrics.f1_score(labels, predicted, average="macro"),
            **_selective_metrics(case, labels == predicted),
        }


def _selective_metrics(case, is_correct):
    is_certain = np.ones(len(is_correct), bool)
    if case.abstain_band is not None:
        positive = case.probabilities[:, case.classes.index(case.positive_label)]
        is_certain = np.abs(positive - case.decision_threshold) >= case.abstain_band
    accuracy = is_correct[is_certain].mean() if is_certain.any() else None
    return {"coverage": is_certain.mean(), "selective_accuracy": accuracy}


def reference_class_metrics(case: MetricCase) -> dict[tuple[str, str], float | None]:
    """Every metric of every class by scikit-learn; None where it is undefined."""
    classes = [*case.classes, *sorted(set(case.labels) - set(case.classes))]
    labels, predicted = np.array(case.labels), np.array(predicted_labels(case))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        decided = metrics.precision_recall_fscore_support(
            labels, predicted, labels=classes, zero_division=np.nan
        )[:3]
        found = {
            (name, metric): None if np.isnan(value) else value
            for metric, values in zip(("precision", "recall", "f1"), decided, strict=True)
            for name, value in zip(classes, values, strict=True)
        }
        for place, name in enumerate(classes):
            known = place < len(case.classes)
            shares = case.probabilities[:, place] if known else np.zeros(len(labels))
            truth = labels == name
            found[name, "roc_auc"] = found[name, "pr_auc"] = None
            if truth.any():
                found[name, "pr_auc"] = metrics.average_precision_score(truth, shares)
            if truth.any() and not truth.all():
                found[name, "roc_auc"] = metrics.roc_auc_score(truth, shares)
    return found


def _expected_calibration_error(case, labels, predicted):
    probability = case.probabilities[
        np.arange(len(labels)), [case.classes.index(name) for name in predicted]
    ]
    bins = np.clip(np.ceil(probability * 10), 1, 10)
    error = 0.0
    for number in range(1, 11):
        inside = bins == number
        if inside.any():
            accuracy = np.mean(labels[inside] == predicted[inside])
            error += inside.mean() * abs(accuracy - probability[inside].mean())
    return error
