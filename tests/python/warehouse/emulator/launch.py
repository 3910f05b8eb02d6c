"""Serve BigQuery's API on free ports of the loopback address; for tests only.

Runs in an environment of its own (`requirements.lock` beside this file, Python 3.13). Says where it
serves in one line of JSON, and ends with the process that started it, however that one ends.
Gaps of local-bigquery 0.3.2 are mended here, and its slowness: it keeps tables in a lake of files and the catalogue
in tables of JSON, and looks one up in lists of all that there are. Each mended function says what it is for.
"""

import gc
import json
import os
import sys
import threading
import time
from pathlib import Path

import uvicorn
from duckdb import BinderException, CatalogException
from duckdb_extensions import import_extension
from local_bigquery import app
from local_bigquery.catalog import metadata, row_access, tables
from local_bigquery.engine import database
from local_bigquery.grpc import server
from local_bigquery.jobs import load, merge, query, runner, store
from local_bigquery.models import Table
from local_bigquery.settings import settings
from local_bigquery.sql.dialect import BigQueryDialect, DuckDBDialect
from local_bigquery.sql.rules import partitions
from sqlglot import exp
from sqlglot.expressions.core import Expr

# duckdb looks for it with every query, all over the disk
sys.modules["pandas"] = None

_execute, _merge, _load = query.execute, merge.run, load.run
_objects, _fetch = database.objects, database.fetch
_save, _delete = metadata.save, metadata.delete
_generate = DuckDBDialect.generate
_jobs, _metadata = {}, {}


def attach(connection, project_id):
    """Hold the tables of a project in memory: to a lake of files small tables cost more than what is asked of them."""
    connection.execute(f"ATTACH IF NOT EXISTS ':memory:' AS {database.quote(project_id)}")
    database._attached.add(project_id)


class Folder(Path):
    """A folder whose database of results and metadata is kept in memory instead."""

    def __truediv__(self, name):
        return ":memory:" if name == "emulator.duckdb" else super().__truediv__(name)


def breadth_first(tree, prune=None):
    """Visit a statement's expressions as sqlglot does, which the emulator does dozens of times a statement."""
    found = [tree]
    for node in found:
        yield node
        if prune and prune(node):
            continue
        for value in node.args.values():
            if isinstance(value, Expr):
                found.append(value)
            elif isinstance(value, list):
                found += [item for item in value if isinstance(item, Expr)]


def generate(dialect, tree, copy=True, **options):  # noqa: ARG001 - never wanted
    """Write a statement without a copy of it: what is translated is a copy already."""
    return _generate(dialect, tree, copy=False, **options)


class Cursor:
    """A cursor that does not look for temporary tables before each query: nobody here makes one."""

    def __init__(self, cursor):
        self._cursor = cursor

    def __getattr__(self, name):
        return getattr(self._cursor, name)

    def sql(self, text, **options):
        if text == "SELECT table_name FROM duckdb_tables() WHERE temporary":
            text = "SELECT 'none' WHERE false"
        return self._cursor.sql(text, **options)


def execute(cursor, *args, **options):
    """Name the destination of a CREATE TABLE AS SELECT, which the client asks for."""
    statistics, children, destination = _execute(Cursor(cursor), *args, **options)
    if destination is None and statistics.statementType == "CREATE_TABLE_AS_SELECT":
        destination = statistics.ddlTargetTable
    return statistics, children, destination


def run_merge(cursor, tree, context):
    """Give the source of a MERGE an alias, as dbt's is a subquery without one."""
    source = tree.args["using"]
    if isinstance(source, exp.Subquery) and not source.alias:
        source.set("alias", exp.TableAlias(this=exp.to_identifier("__unnamed_source")))
    return _merge(cursor, tree, context)


def objects(project_id, dataset_id, table_id=None):
    """Look one table up by its name; a view has no row ids."""
    if table_id is None:
        return _objects(project_id, dataset_id)
    name = database.quote(project_id, dataset_id, table_id)
    try:
        ((size,),) = _fetch(f"SELECT count(rowid) FROM {name}")
    except BinderException:
        return [(table_id, "VIEW", 0)]
    except CatalogException:
        return []
    return [(table_id, "TABLE", size)]


def fetch(sql, params=None):
    """Ask for the required columns of one table by its name; what a query gave may be null."""
    if "FROM duckdb_columns()" not in sql:
        return _fetch(sql, params)
    if params[1] == tables.RESULTS:
        return []
    name = quoted(database.quote(*params[:3]))
    try:
        return _fetch(f'SELECT name FROM pragma_table_info({name}) WHERE "notnull"')
    except CatalogException:
        return []


def save_job(job):
    """Keep a job as it is; what was made of its query lies in a table all the same."""
    reference = job.jobReference
    _jobs[reference.projectId, reference.jobId] = job
    return job


def load_job(project_id, job_id):
    """Find a job by its name."""
    return _jobs.get((project_id, job_id))


def no_list_of_jobs(*_):
    """Fail where the table of jobs would be read, as there is none."""
    raise NotImplementedError("the emulator of the tests keeps no list of jobs")


def load_metadata(model, *keys):
    """Find what is told of one table or dataset, also told in tables of JSON that are read for lists."""
    return _metadata.get((model, *keys))


def save_metadata(resource, *keys):
    """Keep what is told of it in both places."""
    _metadata[type(resource), *keys] = saved = _save(resource, *keys)
    return saved


def delete_metadata(*keys):
    """Forget what is told of it, and of all below it, in both places."""
    _delete(*keys)
    for known in list(_metadata):
        if known[: len(keys)] == keys:
            _metadata.pop(known, None)


def run_load(cursor, config, upload):
    """Say of a table that it was modified when something was loaded into it."""
    statistics = _load(cursor, config, upload)
    key = tables.reference(config.destinationTable)
    if stored := metadata.load(Table, *key):
        metadata.save(stored.replace(lastModifiedTime=metadata.now()), *key)
    return statistics


def quoted(text):
    """Write a text as SQL has it."""
    return "'" + text.replace("'", "''") + "'"


def end_with_parent() -> None:
    """End when the parent is gone: a test run that is killed leaves no server behind."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


def main() -> None:
    """Serve until the parent ends; what is uploaded lies in the folder of the first argument."""
    end_with_parent()
    # what is imported stays, and a query makes more objects than the collector expects of anything
    gc.freeze()
    gc.set_threshold(200_000, 20, 100)
    for extension in ("icu", "ducklake", "spatial", "json"):
        import_extension(extension)
    query.execute, merge.run, runner.HANDLERS["load"] = execute, run_merge, run_load
    database._attach, database.objects, database.fetch = attach, objects, fetch
    store.save, store.load = save_job, load_job
    store.list_ = store.delete = no_list_of_jobs
    metadata.load, metadata.save, metadata.delete = load_metadata, save_metadata, delete_metadata
    DuckDBDialect.generate = generate
    # nobody here restricts whose rows one sees, has partitions by the time of loading, or joins arrays without `unnest`
    row_access.secured = lambda: frozenset()
    partitions._hidden = lambda _: False
    BigQueryDialect.Parser.SUPPORTS_IMPLICIT_UNNEST = False
    # CURRENT_TIMESTAMP as an alias is not what DuckDB calls the function
    DuckDBDialect.Generator.TRANSFORMS[exp.CurrentTimestamp] = lambda *_: "GET_CURRENT_TIMESTAMP()"
    # BigFrames reads as of the moment just gone, and tables in memory have no past
    DuckDBDialect.Generator.TRANSFORMS[exp.HistoricalData] = lambda *_: ""
    exp.Expression.bfs = breadth_first
    settings.data_dir = Folder(sys.argv[1])
    _, grpc_port = server.start("127.0.0.1", 0)
    rest = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning"))
    thread = threading.Thread(target=rest.run, daemon=True)
    thread.start()
    while not rest.started and thread.is_alive():
        time.sleep(0.01)
    rest_port = rest.servers[0].sockets[0].getsockname()[1]
    served = {"rest": f"http://127.0.0.1:{rest_port}", "grpc": f"127.0.0.1:{grpc_port}"}
    sys.stdout.write(json.dumps(served) + "\n")
    sys.stdout.flush()
    thread.join()


if __name__ == "__main__":
    main()
