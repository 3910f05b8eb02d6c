"""A store of its own for a test: landing folder, DuckDB file, dbt's artefacts, and a project to build."""

import csv
import json
import os
import re
import shutil
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import commands
import duckdb
import pyarrow as pa

from encoder_job.landing.folder import FolderLanding

REPOSITORY = Path(__file__).parents[3]
PROJECT_PARTS = (
    *("dbt_project.yml", "selectors.yml", "models", "macros", "seeds"),
    *("tests/*.sql", "tests/generic", "encoder_job/probes"),
)
CONTENT_KEY = "a key of the tests, long enough"
WITHOUT_TESTS = ("--exclude-resource-type", "test", "--exclude-resource-type", "unit_test")
# the one test that the selector `news` always has: time alone can make it fail
ALARM = "assert_affected_models_are_replaced_in_time"
# a zone far from UTC: no build may depend on where the machine stands
FOREIGN_ZONE = "Pacific/Kiritimati"


@dataclass
class Build:
    """What one dbt command did."""

    exit_code: int
    output: str
    statuses: dict[str, str]

    def status(self, name: str) -> str:
        """Return the status of the one node with this name."""
        found = {s for node, s in self.statuses.items() if name in node.split(".")}
        assert len(found) == 1, f"{name}: {found or 'no such node'}"
        return found.pop()

    @property
    def failed(self) -> dict[str, str]:
        """The nodes that neither succeeded nor were skipped."""
        good = ("success", "pass", "skipped", "no-op")
        return {node: status for node, status in self.statuses.items() if status not in good}

    @property
    def nodes(self) -> set[str]:
        """The names of what was selected: every node but the project's hooks."""
        return {node.split(".")[2] for node in self.statuses if not node.startswith("operation.")}

    def counts(self) -> Counter:
        """How many nodes ended in each status."""
        return Counter(self.statuses.values())

    def kinds(self) -> str:
        """How many nodes of each kind were built, in words."""
        kinds = Counter(node.split(".")[0] for node in self.statuses)
        return ", ".join(f"{count} {kind}s" for kind, count in sorted(kinds.items()))


class Store:
    """One store below a folder, with a copy of the project that a test may edit."""

    def __init__(self, root: Path) -> None:
        self.root, self.project = root, root / "project"
        self.landing, self.duckdb = root / "landing", root / "store.duckdb"
        self.target = root / "target"
        if not self.project.exists():
            for source in (path for part in PROJECT_PARTS for path in REPOSITORY.glob(part)):
                _copy(source, self.project / source.relative_to(REPOSITORY))
            profiles = (REPOSITORY / "profiles.yml.example").read_text()
            assert "threads: 2" in profiles
            # two threads of dbt take turns in one interpreter, and a quarter longer
            (root / "profiles.yml").write_text(profiles.replace("threads: 2", "threads: 1"))
            self.scale_down()
            # every setting that the demo's registry leaves alone
            edit_seed(
                self.project,
                "classifiers",
                "negative_review_linear",
                **{"weight_decay": "", "class_weighting": "balanced", "abstain_band": "0.1"},
                **{"threshold_rule": "cost_ratio", "threshold_value": "3"},
            )

    def scale_down(self) -> None:
        """Have small nets fitted three times rather than large ones eight: sizes and trials are tested elsewhere.

        The gate judges by the few customers that there are.
        """
        path = self.project / "dbt_project.yml"
        text = path.read_text()
        settings = {
            "training_seeds": "2",
            "learning_curve_shares": "[0.5]",
            "gate_least_customers": "2",
        }
        for name, value in settings.items():
            text, count = re.subn(rf"(?m)^(  {name}:).*", rf"\1 {value}", text)
            assert count == 1, name
        path.write_text(text)
        for row in seed(self.project, "classifiers"):
            if row["architecture"] == "mlp":
                edit_seed(self.project, "classifiers", row["classifier_id"], hidden_units="12")

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead dbt and the encoder job here."""
        return os.environ | {
            "DBT_LOG_PATH": str(self.root / "logs"),
            # nobody reads the log of a test, which takes a twentieth of the time
            "DBT_LOG_LEVEL_FILE": "none",
            "DBT_PROFILES_DIR": str(self.root),
            "DBT_PROJECT_DIR": str(self.project),
            "DBT_TARGET_PATH": str(self.target),
            "EMBEDDING_STORE_CONTENT_KEY": CONTENT_KEY,
            # the same for every store: to dbt another path is another project, to be parsed anew
            "EMBEDDING_STORE_DUCKDB": f"../{self.duckdb.name}",
            "EMBEDDING_STORE_LANDING": f"../{self.landing.name}",
            "TZ": FOREIGN_ZONE,
        }

    def run(self, command: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
        """Run a command of the virtual environment to its end."""
        environment = self.environment | variables
        return commands.run(command, [*map(str, arguments)], environment, self.project)

    def encode(self, source: Path, *options: str) -> subprocess.CompletedProcess:
        """Run the encoder job over a manifest."""
        return self.run("encoder-job", "run", "--source", source, *options)

    def dbt(self, *arguments: str, **variables: str) -> Build:
        """Run dbt; its results are those of this run, never of an earlier one."""
        results = self.target / "run_results.json"
        results.unlink(missing_ok=True)
        done = self.run("dbt", "--no-use-colors", *arguments, **variables)
        nodes = json.loads(results.read_text())["results"] if results.exists() else []
        statuses = {node["unique_id"]: node["status"] for node in nodes}
        return Build(done.returncode, done.stdout + done.stderr, statuses)

    def build(self, *arguments: str, **variables: str) -> Build:
        """Run `dbt build` as a schedule would."""
        return self.dbt("build", "--selector", "nightly", *arguments, **variables)

    def build_with_invariants(self, *arguments: str, **variables: str) -> Build:
        """Build with the singular tests alone: the generic ones take longer than all else and are run elsewhere."""
        left_out = ("test_type:generic", "test_type:unit")
        return self.dbt("build", "--exclude", *left_out, *arguments, **variables)

    def build_models(self, *arguments: str, **variables: str) -> Build:
        """Build without data tests, where a test looks at what is built and not at what dbt says of it."""
        return self.build("--exclude-resource-type", "test", *arguments, **variables)

    def keep_state(self) -> None:
        """Keep what a schedule keeps of a build that went well."""
        (self.root / "state").mkdir(exist_ok=True)
        for name in ("manifest.json", "sources.json"):
            shutil.copy(self.target / name, self.root / "state")

    def build_news(self, *arguments: str, **variables: str) -> Build:
        """Build what has something new to read since a state was kept."""
        assert self.dbt("source", "freshness").exit_code == 0
        return self.dbt(
            "build", "--selector", "news", "--state", "../state", *arguments, **variables
        )

    def build_datasets(self, *arguments: str) -> Build:
        """Build all that is SQL and comes before training, without tests."""
        return self.dbt("build", "--selector", "ci_fast", *WITHOUT_TESTS, *arguments)

    def build_snapshots(self, *arguments: str) -> Build:
        """Build what snapshots are made of, and them, without tests."""
        return self.dbt("build", "--select", "+dataset_snapshots", *WITHOUT_TESTS, *arguments)

    def land(self, tables: dict[str, pa.Table], ids: object) -> None:
        """Land rows of some tables as the encoder job would, each as one part."""
        landing = FolderLanding(str(self.landing))
        landing.ensure_tables()
        for table, rows in tables.items():
            landing.write_part(table, rows, ids)

    def compiled(self, model: str) -> str:
        """Return the query that dbt last made of a model."""
        found = (self.target / "compiled").rglob(f"{model}.sql")
        # beside it lie the fixtures of unit tests, in folders named after their files
        return next(path for path in found if "unit_tests" not in str(path)).read_text()

    def connect(self, read_only: bool = False) -> duckdb.DuckDBPyConnection:
        """Open the store; its views find the landing folder from where the project lies."""
        connection = duckdb.connect(str(self.duckdb), read_only)
        connection.execute(f"set file_search_path = '{self.project}'")
        return connection

    def query(self, sql: str) -> list[tuple]:
        """Return the rows of a query."""
        with self.connect(read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def arrow(self, sql: str) -> pa.Table:
        """Return the rows of a query as Arrow."""
        with self.connect(read_only=True) as connection:
            return connection.sql(sql).to_arrow_table()

    def execute(self, sql: str) -> None:
        """Change the store by hand, as nobody should."""
        with self.connect() as connection:
            connection.execute(sql)

    def columns(self) -> dict[tuple[str, str], str]:
        """Return the type of every column, by table and name."""
        rows = self.query("""
            select table_schema || '.' || table_name, column_name, data_type
            from information_schema.columns
            where table_schema in ('restricted', 'ledger', 'internal', 'published')
        """)
        return {(table, column): data_type for table, column, data_type in rows}

    def tables(self) -> set[str]:
        """Return every table and view, as `schema.name`."""
        return {table for table, _ in self.columns()}

    def contents(self, table: str) -> list[tuple]:
        """Return every row of a table, in an order of their own."""
        return self.query(f"select * from {table} order by all")

    def copy(self, root: Path) -> "Store":
        """Return a copy to be spoilt, with what dbt has parsed already."""
        places = (
            "landing",
            "store.duckdb",
            "project",
            "profiles.yml",
            "target/partial_parse.msgpack",
        )
        for place in places:
            if (self.root / place).exists():
                _copy(self.root / place, root / place)
        return Store(root)


def seed(project: Path, name: str) -> list[dict]:
    with (project / "seeds" / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def edit_seed(project: Path, seed: str, key: str, **values: str) -> None:
    """Change columns of the rows of a registry whose first column is `key`."""
    path = project / "seeds" / f"{seed}.csv"
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    edited = [row | values if next(iter(row.values())) == key else row for row in rows]
    assert edited != rows
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(edited)


def append_to_seed(project: Path, seed: str, *lines: str) -> None:
    """Add rows to a registry."""
    with (project / "seeds" / f"{seed}.csv").open("a") as file:
        file.writelines(f"{line}\n" for line in lines)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)
