"""Two stores of one history on two engines: what differs, row by row."""

import math
from collections import Counter
from collections.abc import Collection

import pyarrow as pa
from store import Store

TOLERANCE = 1e-9
# the Python scorer computes hidden layers in single precision, the SQL scorer in double
SCORE_TOLERANCE = 1e-6
OF_SCORERS = {
    "ledger.prediction_scores",
    "published.predictions",
    "published.latest_predictions",
    "restricted.prediction_lineage",
}
# when a model ran, and with what: it differs between two builds of one engine too
OF_THE_RUN = {
    "ledger.encoder_versions": {"recorded_at"},
    "ledger.dataset_versions": {"recorded_at"},
    "ledger.classifier_versions": {"recorded_at"},
    "ledger.requested_subjects": {"recorded_at"},
    "ledger.erasure_records": {"recorded_at"},
    "internal.snapshot_removals": {"removed_at"},
    "published.erasure_outcomes": {"recorded_at", "erased_at"},
    "ledger.training_records": {"trained_at", "runtime"},
    "internal.classifier_models": {"trained_at", "runtime"},
    "ledger.promotion_decisions": {"decided_at"},
    "internal.bootstrap_replicates": {"drawn_at"},
    "ledger.prediction_scores": {"scored_at"},
    "published.predictions": {"scored_at"},
    "published.latest_predictions": {"scored_at"},
    "restricted.prediction_lineage": {"trained_at", "scored_at"},
}
KINDS = (
    ("text", pa.types.is_string),
    ("floating", pa.types.is_floating),
    ("number", lambda kind: pa.types.is_integer(kind) or pa.types.is_decimal(kind)),
    ("truth", pa.types.is_boolean),
    ("moment", pa.types.is_timestamp),
)


def tables_of(store: Store, schemas: tuple[str, ...]) -> dict[str, pa.Table]:
    """Return every table and view of these schemas, by `schema.name`."""
    return {
        name: store.arrow(f"select * from {name}")
        for name in sorted(store.tables())
        if name.split(".")[0] in schemas
    }


def all_differences(
    expected: dict[str, pa.Table],
    found: dict[str, pa.Table],
    ignored: dict[str, set[str]] = OF_THE_RUN,
) -> dict[str, list[str]]:
    """Say of every table that differs, or is in one store only, the first few differences."""
    told = {name: ["in one store only"] for name in set(expected) ^ set(found)}
    for name in set(expected) & set(found):
        tolerance = SCORE_TOLERANCE if name in OF_SCORERS else TOLERANCE
        of_table = ignored.get(name, set())
        told[name] = differences(expected[name], found[name], of_table, tolerance)[:3]
    return {name: different for name, different in told.items() if different}


def differences(
    one: pa.Table,
    other: pa.Table,
    ignored: Collection[str] = frozenset(),
    tolerance: float = TOLERANCE,
) -> list[str]:
    """Say where two tables differ: in columns, in rows, or a number by more than the tolerance.

    Rows are paired in the order of all columns that hold no floating point numbers, then of these.
    """
    kinds, other_kinds = ({f.name: _kind(f.type) for f in table.schema} for table in (one, other))
    if kinds != other_kinds:
        return [f"columns: {sorted(set(kinds.items()) ^ set(other_kinds.items()))}"]
    if one.equals(other):
        return []
    exact = sorted(name for name in set(kinds) - set(ignored) if "floating" not in kinds[name])
    floating = sorted(set(kinds) - set(ignored) - set(exact))
    left, right = (_rows(table, exact, floating) for table in (one, other))
    if len(left) != len(right):
        return [f"{len(left)} and {len(right)} rows"]
    found = []
    for (keys, numbers), (other_keys, other_numbers) in zip(left, right, strict=True):
        found += [
            f"{name}: {a!r} and {b!r} at {keys[:3]}"
            for name, a, b in zip(exact, keys, other_keys, strict=True)
            if a != b
        ]
        found += [
            f"{name}: {a!r} and {b!r} at {keys[:3]}"
            for name, a, b in zip(floating, numbers, other_numbers, strict=True)
            if not _is_close(a, b, tolerance)
        ]
    return found


def _kind(kind: pa.DataType) -> str:
    """A type in the words that both engines share: they differ in widths and zones."""
    if pa.types.is_list(kind):
        return f"list of {_kind(kind.value_type)}"
    return next(word for word, is_of_kind in KINDS if is_of_kind(kind))


def _rows(table: pa.Table, exact: list[str], floating: list[str]) -> list[tuple[tuple, tuple]]:
    columns = {name: [_plain(value) for value in _values(table[name])] for name in exact}
    numbers = {name: _values(table[name]) for name in floating}
    rows = zip(
        zip(*columns.values(), strict=True) if columns else [()] * table.num_rows,
        zip(*numbers.values(), strict=True) if numbers else [()] * table.num_rows,
        strict=True,
    )
    keyed = [(repr(keys), keys, numbers) for keys, numbers in rows]
    counts = Counter(key for key, *_ in keyed)
    # to write out vectors takes longer than all else, and few rows differ in nothing but a vector
    keyed.sort(key=lambda row: (row[0], repr(row[2]) if counts[row[0]] > 1 else ""))
    return [(keys, numbers) for _, keys, numbers in keyed]


def _values(column: pa.ChunkedArray) -> list:
    """The values of a column; BigQuery has no null array, it comes back empty."""
    values = column.to_pylist()
    return [value or [] for value in values] if pa.types.is_list(column.type) else values


def _plain(value: object) -> str | None:
    """A value as text: engines differ in zones, widths and decimals, not in what they say."""
    if value is None or isinstance(value, str):
        return value
    if hasattr(value, "tzinfo"):
        return value.replace(tzinfo=None).isoformat(timespec="microseconds")
    if isinstance(value, list):
        return str([_plain(item) for item in value])
    return str(int(value)) if not isinstance(value, bool) else str(value)


def _is_close(one: object, other: object, tolerance: float) -> bool:
    if isinstance(one, list) and isinstance(other, list):
        return one == other or (
            len(one) == len(other)
            and all(_is_close(a, b, tolerance) for a, b in zip(one, other, strict=True))
        )
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance) or (
        math.isnan(one) and math.isnan(other)
    )
