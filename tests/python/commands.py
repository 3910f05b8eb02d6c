"""The project's two commands, each in a process of its own that need not import their libraries first.

Importing takes longer than most of what these tests ask for, so processes are forked from one that has done it.
"""

import gc
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from multiprocessing import forkserver
from pathlib import Path
from unittest.mock import patch

from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.contracts.graph.manifest import ManifestStateCheck
from dbt.parser import manifest
from dbt_common.events.base_types import BaseEvent, DebugLevel, EventLevel
from dbt_common.events.event_manager import EventManager

MAINS = {"dbt": ("dbt.cli.main", "cli"), "encoder-job": ("encoder_job.cli", "main")}
FORKED = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(
    [
        *(module for module, _ in MAINS.values()),
        *("dbt.task.build", "dbt.adapters.duckdb", "dbt.adapters.bigquery"),
        *("sklearn.linear_model", "parsed_once"),
    ]
)


def run(
    command: str, arguments: list[str], environment: dict[str, str], folder: Path
) -> subprocess.CompletedProcess:
    """Run a command with this environment, in this folder, to its end.

    What a library reads from the environment when it is imported it has read before.
    """
    # it finds modules by this variable alone
    here = Path(__file__).parent
    with patch.dict(os.environ, PYTHONPATH=os.pathsep.join(map(str, (here, here / "warehouse")))):
        forkserver.ensure_running()
    with tempfile.TemporaryDirectory() as told:
        paths = [Path(told, name) for name in ("stdout", "stderr")]
        process = FORKED.Process(
            target=_run, args=(command, arguments, environment, folder, *paths)
        )
        process.start()
        process.join()
        return subprocess.CompletedProcess(
            [command, *arguments], process.exitcode, *(path.read_text() for path in paths)
        )


def _without_variables_of_builds(check: Callable) -> Callable:
    def state_check(loader: manifest.ManifestLoader) -> ManifestStateCheck:
        variables = loader.root_project.cli_vars
        with patch.dict(variables):
            for name in ("as_of", "split_salt"):
                variables.pop(name, None)
            return check(loader)

    return state_check


def _without_debug_messages(fire: Callable) -> Callable:
    def fire_event(
        manager: EventManager, event: BaseEvent, level: EventLevel | None = None, **options: object
    ) -> None:
        if (level or event.level_tag()) != EventLevel.DEBUG:
            fire(manager, event, level, **options)

    return fire_event


def _begin_with(parsed: Path, target: Path) -> None:
    if not (target / parsed.name).exists():
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(parsed, target)


def _run(
    command: str,
    arguments: list[str],
    environment: dict[str, str],
    folder: Path,
    stdout: Path,
    stderr: Path,
) -> None:
    for path, descriptor in ((stdout, 1), (stderr, 2)):
        os.dup2(os.open(path, os.O_CREAT | os.O_WRONLY), descriptor)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    sys.path[:0] = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    os.chdir(folder)
    # these processes end before garbage would matter
    gc.disable()
    # nor need what was imported be looked through at the end
    gc.freeze()
    # dbt writes its manifest before a command and after it, a fifth of the time of most: once will do
    manifest.write_manifest = lambda *_: None
    # nor is a message made that nobody reads
    EventManager.fire_event = _without_debug_messages(EventManager.fire_event)
    DebugLevel.__init__ = lambda *_, **__: None
    # for another variable dbt parses everything anew, half the time of a build; some are read when models are built
    loader = manifest.ManifestLoader
    loader.build_manifest_state_check = _without_variables_of_builds(
        loader.build_manifest_state_check
    )
    if command == "dbt" and "DBT_TARGET_PATH" in environment:
        _begin_with(import_module("parsed_once").PARSED, Path(environment["DBT_TARGET_PATH"]))
    sys.argv = [command, *arguments]
    module, main = MAINS[command]
    try:
        getattr(import_module(module), main)()
    finally:
        # a forked process ends without taking its objects down, so DuckDB would leave its log behind
        DuckDBConnectionManager.close_all_connections()
        gc.collect()
