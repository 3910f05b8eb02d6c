"""The landing tables: one Arrow schema each. dbt reads them by column name."""

from collections.abc import Iterable

import pyarrow as pa

_TIME = pa.timestamp("us", tz="UTC")


def _schema(**columns: pa.DataType) -> pa.Schema:
    return pa.schema(list(columns.items()))


SCHEMAS = {
    "object_events": _schema(
        object_id=pa.string(),
        object_version=pa.string(),
        customer_id=pa.string(),
        modality=pa.string(),
        content_mac=pa.string(),
        content_mac_key_id=pa.string(),
        source_reference=pa.string(),
        content_length=pa.int64(),
        object_created_at=_TIME,
        landed_at=_TIME,
    ),
    "embedding_events": _schema(
        event_id=pa.string(),
        object_id=pa.string(),
        object_version=pa.string(),
        encoder_id=pa.string(),
        encoder_fingerprint=pa.string(),
        runtime=pa.string(),
        job_run_id=pa.string(),
        embedding_dim=pa.int64(),
        token_count=pa.int64(),
        embedding_norm=pa.float64(),
        is_truncated=pa.bool_(),
        encoded_at=_TIME,
        landed_at=_TIME,
        embedding=pa.list_(pa.float32()),
    ),
    "encoding_failures": _schema(
        object_id=pa.string(),
        object_version=pa.string(),
        encoder_id=pa.string(),
        reason=pa.string(),
        job_run_id=pa.string(),
        failed_at=_TIME,
        customer_id=pa.string(),
    ),
    "encoder_runs": _schema(
        job_run_id=pa.string(),
        phase=pa.string(),
        encoder_id=pa.string(),
        encoder_fingerprint=pa.string(),
        runtime=pa.string(),
        job_version=pa.string(),
        objects_read=pa.int64(),
        objects_landed=pa.int64(),
        embeddings_landed=pa.int64(),
        failures_landed=pa.int64(),
        at=_TIME,
    ),
    "account_events": _schema(
        event_id=pa.string(),
        customer_id=pa.string(),
        event_type=pa.string(),
        occurred_at=_TIME,
        landed_at=_TIME,
    ),
    "rating_events": _schema(
        event_id=pa.string(),
        object_id=pa.string(),
        rating=pa.float64(),
        rated_at=_TIME,
        landed_at=_TIME,
    ),
    "decision_events": _schema(
        event_id=pa.string(),
        object_id=pa.string(),
        task=pa.string(),
        label=pa.string(),
        selected_by=pa.string(),
        decided_at=_TIME,
        landed_at=_TIME,
    ),
    "promotion_events": _schema(
        event_id=pa.string(),
        classifier_id=pa.string(),
        model_id=pa.string(),
        decided_by=pa.string(),
        reason=pa.string(),
        decided_at=_TIME,
        landed_at=_TIME,
    ),
    "erasure_requests": _schema(
        event_id=pa.string(),
        scope=pa.string(),
        subject_id=pa.string(),
        requested_at=_TIME,
        landed_at=_TIME,
    ),
    "erased_objects": _schema(
        subject_hash=pa.string(),
        request_id=pa.string(),
        landed_at=_TIME,
    ),
}


def table_of(name: str, rows: Iterable[dict] | pa.Table) -> pa.Table:
    """Return the rows of a landing table as Arrow, typed as it is."""
    if isinstance(rows, pa.Table):
        return rows
    return pa.Table.from_pylist(list(rows), schema=SCHEMAS[name])


# the columns by which a person's rows are found
SUBJECTS = ("object_id", "customer_id")


def tables_with_subjects() -> list[str]:
    """Return the tables that hold rows of persons."""
    return [table for table, schema in SCHEMAS.items() if set(SUBJECTS) & set(schema.names)]


def optional_columns(table: str) -> list[str]:
    """Return the columns that a part may leave out, which are then null: those after the time."""
    schema = SCHEMAS[table]
    time = next(number for number, field in enumerate(schema) if field.type == _TIME)
    return schema.names[time + 1 :]
