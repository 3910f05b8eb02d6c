"""The landing tables as a dataset of BigQuery: every part is one load job.

A load job is atomic, and its id is made from the ids of its part: BigQuery itself refuses to load
a part twice. It remembers job ids for some months; what lands again later, staging drops.
"""

import contextlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from io import BytesIO
from itertools import count

import pyarrow as pa
import pyarrow.parquet as pq
import requests
from google.api_core.exceptions import Conflict, GoogleAPICallError, GoogleAPIError, NotFound
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import GoogleAuthError
from google.cloud import bigquery, bigquery_storage

from encoder_job.erasure import Erased, record_owned_objects
from encoder_job.errors import Refusal
from encoder_job.identity import canonical_hash
from encoder_job.landing.schemas import SCHEMAS, SUBJECTS, table_of, tables_with_subjects

LOCATION_VARIABLE = "EMBEDDING_STORE_BIGQUERY_LOCATION"
DEFAULT_LOCATION = "EU"
# the client library itself reads this variable
_EMULATOR_VARIABLE = "BIGQUERY_EMULATOR_HOST"
_PREFIX = re.compile(r"bigquery://([a-z0-9.:-]*[a-z0-9])\.(\w+)")
_TYPES = (
    (pa.types.is_string, "STRING"),
    (pa.types.is_integer, "INT64"),
    (pa.types.is_floating, "FLOAT64"),
    (pa.types.is_boolean, "BOOL"),
    (pa.types.is_timestamp, "TIMESTAMP"),
)
# a day of these makes a partition; the others land so little that one will do
_PARTITIONED_BY = "landed_at"
_CLUSTERED_BY = "encoder_fingerprint"
# as the function of this name in `erasure.py`
_OBJECT_HASH = "to_hex(md5(concat('object/', object_id)))"


class BigQueryLanding:
    """A dataset with one table for each landing table."""

    # BigQuery takes 1,500 load jobs a table and day, of all runs together
    part_seconds = 300.0

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        named = _PREFIX.fullmatch(prefix)
        if not named:
            raise Refusal(f"landing {prefix}: write bigquery://project.dataset")
        project, self._dataset = named.groups()
        is_emulated = _EMULATOR_VARIABLE in os.environ
        with self._clear_errors("the client"):
            self._client = bigquery.Client(
                project,
                credentials=AnonymousCredentials() if is_emulated else None,
                location=os.environ.get(LOCATION_VARIABLE, DEFAULT_LOCATION),
            )
            # reads a table as Arrow, many times faster than REST does; an emulator has only that
            self._storage = None if is_emulated else bigquery_storage.BigQueryReadClient()

    def alone(self) -> contextlib.nullcontext:
        """Hold nothing: two runs at once may encode an object twice, and staging drops one."""
        return contextlib.nullcontext()

    def ensure_tables(self) -> None:
        """Make the dataset and every landing table that is not there yet, or not whole."""
        with self._clear_errors(f"dataset {self._dataset}"):
            self._client.create_dataset(self._dataset, exists_ok=True)
        for name, schema in SCHEMAS.items():
            table = bigquery.Table(self._reference(name), [_field(field) for field in schema])
            if _PARTITIONED_BY in schema.names:
                table.time_partitioning = bigquery.TimePartitioning(field=_PARTITIONED_BY)
            if _CLUSTERED_BY in schema.names:
                table.clustering_fields = [_CLUSTERED_BY]
            with self._clear_errors(f"table {name}"):
                found = self._client.create_table(table, exists_ok=True)
                held = {field.name for field in found.schema}
                if lacking := [field for field in table.schema if field.name not in held]:
                    found.schema = [*found.schema, *lacking]
                    self._client.update_table(found, ["schema"])

    def has_tables(self) -> bool:
        """Tell whether somebody has made the tables."""
        with self._clear_errors(f"dataset {self._dataset}"):
            try:
                self._client.get_table(self._reference("encoder_runs"))
            except NotFound:
                return False
        return True

    def write_part(self, table: str, rows: Iterable[dict] | pa.Table, ids: object) -> bool:
        """Land rows by one load job, named by their ids. True if this changed the table."""
        sink = BytesIO()
        pq.write_table(table_of(table, rows), sink, compression="zstd")
        with self._clear_errors(f"table {table}"):
            destination = self._client.get_table(self._reference(table))
            # a table that was dropped and made again has none of the parts of the old one
            part = canonical_hash([destination.full_table_id, str(destination.created), ids])
            loaded, attempts = None, count(1)
            while loaded is None:
                loaded = self._load(sink, destination, f"embedding-store-{part}-{next(attempts)}")
        return loaded

    def read(self, table: str, columns: list[str]) -> Iterator[dict[str, list]]:
        """Yield these columns of a table, a batch at a time."""
        with self._clear_errors(f"table {table}"):
            try:
                found = self._client.get_table(self._reference(table))
            except NotFound:
                return
            fields = [field for field in found.schema if field.name in columns]
            rows = self._client.list_rows(found, selected_fields=fields)
            for batch in rows.to_arrow_iterable(bqstorage_client=self._storage):
                yield {name: batch.column(name).to_pylist() for name in columns}

    def erase(self, erased: Erased) -> Counter[str]:
        """Delete the rows of erased customers and objects, a statement a table; rows by table."""
        record_owned_objects(self, erased)
        recorded = f"select subject_hash from `{self._reference('erased_objects')}`"  # noqa: S608
        conditions = {
            "object_id": f"object_id in unnest(@objects) or {_OBJECT_HASH} in ({recorded})",
            "customer_id": "customer_id in unnest(@customers)",
        }
        subjects = [
            bigquery.ArrayQueryParameter(name, "STRING", sorted(named))
            for name, named in (("objects", erased.objects), ("customers", erased.customers))
        ]
        removed: Counter[str] = Counter()
        for table in tables_with_subjects():
            held = {name: conditions[name] for name in SUBJECTS if name in SCHEMAS[table].names}
            if table == "object_events":
                # what landed since its customer's objects were recorded stays for the next
                # erasure, or nothing would tell whose it was
                held["customer_id"] += " and object_id is null"
            of_subjects = " or ".join(f"({condition})" for condition in held.values())
            statement = f"delete from `{self._reference(table)}` where {of_subjects}"  # noqa: S608
            with self._clear_errors(f"table {table}"):
                config = bigquery.QueryJobConfig(query_parameters=subjects)
                job = self._client.query(statement, job_config=config)
                job.result()
            removed[table] += job.num_dml_affected_rows or 0
        return removed

    def _load(self, part: BytesIO, table: bigquery.Table, job_id: str) -> bool | None:
        """Load a part; False if a job of this id has loaded it, None if that job had failed."""
        # without it BigQuery makes a record of a list
        parquet = bigquery.ParquetOptions()
        parquet.enable_list_inference = True
        config = bigquery.LoadJobConfig(
            source_format=bigquery.SourceFormat.PARQUET,
            parquet_options=parquet,
            schema=table.schema,
            write_disposition=bigquery.WriteDisposition.WRITE_APPEND,
        )
        try:
            part.seek(0)
            self._client.load_table_from_file(
                part, table, job_id=job_id, job_config=config
            ).result()
        except Conflict:
            return None if _has_failed(self._client.get_job(job_id)) else False
        return True

    def _reference(self, table: str) -> str:
        return f"{self._client.project}.{self._dataset}.{table}"

    @contextlib.contextmanager
    def _clear_errors(self, place: str) -> Iterator[None]:
        try:
            yield
        except (GoogleAPIError, GoogleAuthError, requests.RequestException) as error:
            # the message of a failed load can quote what was loaded
            reason = next((it.get("reason") for it in getattr(error, "errors", ()) or ()), None)
            told = ", ".join(filter(None, (type(error).__name__, reason)))
            raise Refusal(
                f"landing {self.prefix}: {place}: BigQuery refuses ({told}); check that the "
                "account may create and load tables there and run jobs in the project "
                f"(location: {LOCATION_VARIABLE}), and run the same command again"
            ) from None


def _has_failed(job: bigquery.LoadJob) -> bool:
    """Wait for a job that an earlier run began, and tell whether it failed."""
    try:
        job.result()
    except GoogleAPICallError:
        # what went wrong may be the asking, not the job
        if not job.error_result:
            raise
        return True
    return False


def _field(field: pa.Field) -> bigquery.SchemaField:
    is_list = pa.types.is_list(field.type)
    kind = field.type.value_type if is_list else field.type
    name = next(name for is_type, name in _TYPES if is_type(kind))
    return bigquery.SchemaField(field.name, name, mode="REPEATED" if is_list else "NULLABLE")
