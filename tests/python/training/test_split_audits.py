"""A split by row flatters where customers differ, and only there."""

from types import ModuleType

import numpy as np
import pyarrow as pa
import pytest
from python_models import load
from sklearn.metrics import roc_auc_score

CUSTOMERS, EACH = 40, 10


@pytest.fixture(scope="session")
def auditor() -> ModuleType:
    return load("split_audits")


def examples(seed: int, of_customer: float, classes: int = 2) -> pa.Table:
    """Examples whose labels say nothing but who the customer is; vectors show that by so much."""
    random = np.random.default_rng(seed)
    groups = np.repeat(np.arange(CUSTOMERS), EACH)
    styles = random.normal(size=(CUSTOMERS, 64))
    x = of_customer * styles[groups] + random.normal(size=(len(groups), 64))
    labels = random.permutation(CUSTOMERS) % classes
    return pa.table(
        {
            "object_id": [f"o{number:04d}" for number in range(len(groups))],
            "split_group_id": [f"c{group}" for group in groups],
            "split": ["train"] * len(groups),
            "label": [f"label {labels[group]}" for group in groups],
            "embedding": pa.array(list(x.astype(np.float32)), pa.list_(pa.float32())),
        }
    )


@pytest.mark.parametrize("classes", [2, 3])
def test_what_only_tells_customers_apart_flatters_a_split_by_row(auditor, classes):
    row = auditor.audit("s", "f", auditor.sample_of(examples(1, 2.0, classes)))
    assert 0.3 < row["roc_auc_by_group"] < 0.7
    assert row["roc_auc_by_row"] > 0.95
    assert row["inflation"] == pytest.approx(row["roc_auc_by_row"] - row["roc_auc_by_group"])
    assert 0 < row["inflation_lower"] < row["inflation"] < row["inflation_upper"]


def test_where_vectors_show_no_customer_nothing_flatters(auditor):
    row = auditor.audit("s", "f", auditor.sample_of(examples(2, 0.0)))
    assert row["inflation_lower"] < 0 < row["inflation_upper"]
    assert abs(row["inflation"]) < 0.1


def test_the_order_of_the_rows_says_nothing(auditor):
    table = examples(3, 1.0)
    order = np.random.default_rng(0).permutation(table.num_rows)
    shuffled = pa.concat_tables([table.take(order[:150]), table.take(order[150:])])
    keys = [("s", "f")]
    assert auditor.audits(keys, lambda *_: table) == auditor.audits(keys, lambda *_: shuffled)


def test_weighted_roc_auc_is_scikit_learns(auditor):
    random = np.random.default_rng(0)
    truth, scores = random.random(200) < 0.3, random.integers(0, 30, 200).astype(float)
    weights = random.poisson(1.0, (5, 200)).astype(float)
    expected = [roc_auc_score(truth, scores, sample_weight=row) for row in weights]
    assert auditor.roc_auc(truth, scores, weights) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("count", [1, CUSTOMERS * EACH])
def test_a_sample_that_tells_nothing_has_a_row_of_nulls(auditor, count):
    table = examples(4, 1.0, classes=1).slice(0, count)
    (row,) = auditor.audits([("s", "f")], lambda *_: table).to_pylist()
    assert row["example_count"] == count
    assert row["near_duplicate_count"] == 0
    assert row["roc_auc_by_row"] is row["inflation"] is row["inflation_lower"] is None


def test_near_duplicates_are_counted_by_whose_they_repeat(auditor, monkeypatch):
    monkeypatch.setattr(auditor, "BLOCK_ROWS", 7)
    table = examples(5, 0.0).slice(0, 20)
    rows = table.to_pylist()
    rows[3]["embedding"] = [2 * value for value in rows[2]["embedding"]]  # of one customer
    rows[15]["embedding"] = rows[4]["embedding"]  # of another, who is not learned from
    rows[15]["split"] = "test"
    sample = auditor.sample_of(pa.Table.from_pylist(rows, table.schema))
    assert rows[2]["split_group_id"] == rows[3]["split_group_id"]
    assert rows[4]["split_group_id"] != rows[15]["split_group_id"]
    assert auditor.near_duplicates(sample) == {
        "near_duplicate_count": 4,
        "near_duplicate_across_groups_count": 2,
        "near_duplicate_of_train_count": 1,
    }


def test_the_test_split_says_nothing_of_inflation(auditor):
    table = examples(6, 2.0)
    is_test = [number >= CUSTOMERS * EACH * 3 // 4 for number in range(table.num_rows)]
    splits = pa.array(["test" if one else "validation" for one in is_test])
    index = table.schema.get_field_index("split")
    with_test = table.set_column(index, "split", splits)
    without = with_test.filter(pa.array([not one for one in is_test]))
    both = [auditor.inflation(auditor.sample_of(one)) for one in (with_test, without)]
    assert both[0] == both[1] != {}
