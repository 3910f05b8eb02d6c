"""A store on the emulator of BigQuery: the same questions as to a store on DuckDB."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from store import REPOSITORY, Store

from encoder_job.landing.bigquery import BigQueryLanding

EMULATOR = Path(__file__).with_name("emulator")
PYTHON = REPOSITORY / ".venv-bigquery" / "bin" / "python"
PROJECT = "emulated"
SCHEMAS = ("restricted", "ledger", "internal", "published")
PROFILE = """
embedding_store:
  target: bigquery
  outputs:
    bigquery:
      type: bigquery
      method: oauth-secrets
      token: local
      api_endpoint: "{rest}"
      project: {project}
      dataset: {dataset}
      location: US
      threads: 2
"""


@dataclass(frozen=True)
class Emulator:
    """Where the emulator serves."""

    rest: str
    grpc: str

    def client(self) -> bigquery.Client:
        return bigquery.Client(
            PROJECT,
            AnonymousCredentials(),
            location="US",
            client_options={"api_endpoint": self.rest},
        )


@contextmanager
def emulator(folder: Path) -> Iterator[Emulator]:
    """Serve a fresh folder; what happens to the tests happens to the server."""
    if not PYTHON.exists():
        reason = "NOT TESTED ON BIGQUERY: its emulator needs Python 3.13; `make test-bigquery` sets it up"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    folder.mkdir(parents=True)
    command = [PYTHON, EMULATOR / "launch.py", folder / "data"]
    with (
        (folder / "emulator.log").open("w") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as server,
    ):
        try:
            line = server.stdout.readline()
            assert line, (folder / "emulator.log").read_text()[-4000:]
            yield Emulator(**json.loads(line))
        finally:
            server.kill()


class BigQueryStore(Store):
    """One store of the emulator: datasets with a prefix of their own."""

    def __init__(self, root: Path, served: Emulator) -> None:
        super().__init__(root)
        self.dataset = root.name.replace("-", "_")
        self.served, self.client = served, served.client()
        self.landing_prefix = f"bigquery://{PROJECT}.{self.dataset}_landing"
        profile = PROFILE.format(rest=served.rest, project=PROJECT, dataset=self.dataset)
        (root / "profiles.yml").write_text(profile)

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead dbt and the encoder job to the emulator."""
        path = [str(EMULATOR / "client"), os.environ.get("PYTHONPATH", "")]
        return super().environment | {
            "BIGQUERY_EMULATOR_HOST": self.served.rest,
            "BIGQUERY_EMULATOR_GRPC": self.served.grpc,
            "EMBEDDING_STORE_LANDING": self.landing_prefix,
            "EMBEDDING_STORE_BIGQUERY_LOCATION": "US",
            "PYTHONPATH": os.pathsep.join(filter(None, path)),
        }

    def land_parts(self, landed: Store) -> int:
        """Load every part of a landing folder, as the job does with its own; return how many were new."""
        with patch.dict(os.environ, BIGQUERY_EMULATOR_HOST=self.served.rest):
            landing = BigQueryLanding(self.landing_prefix)
        landing.ensure_tables()
        parts = sorted(landed.landing.glob("*/**/*.parquet"))
        return sum(
            landing.write_part(part.parent.name, pq.read_table(part), part.name)
            for part in parts
            if part.name != "empty.parquet"
        )

    def arrow(self, sql: str) -> pa.Table:
        """Return the rows of a query; a dataset is named as on DuckDB.

        By way of a file: the emulator gives a page of rows as JSON, which takes four times as long.
        """
        path = self.root / "answer.parquet"
        options = f"uri='file://{path}', format='PARQUET'"
        self.client.query(f"export data options ({options}) as {self._placed(sql)}").result()
        table = pq.read_table(path)
        for column in table.itercolumns():
            # a result that BigQuery would refuse
            assert not (pa.types.is_list(column.type) and pc.list_flatten(column).null_count)
        return table

    def query(self, sql: str) -> list[tuple]:
        """Return the rows of a query."""
        return [tuple(row.values()) for row in self.client.query(self._placed(sql)).result()]

    def execute(self, sql: str) -> None:
        """Change the store by hand, as nobody should."""
        self.client.query(self._placed(sql)).result()

    def tables(self) -> set[str]:
        """Return every table and view, as `schema.name`."""
        found = set()
        for dataset in self.client.list_datasets():
            schema = dataset.dataset_id.removeprefix(f"{self.dataset}_")
            if schema in SCHEMAS:
                found |= {f"{schema}.{t.table_id}" for t in self.client.list_tables(dataset)}
        return found

    def _placed(self, sql: str) -> str:
        for schema in (*SCHEMAS, "landing"):
            sql = sql.replace(f" {schema}.", f" {PROJECT}.{self.dataset}_{schema}.")
        return sql
