"""The project's commands, each in a process of its own that need not import their libraries first.

Importing takes longer than most of what these tests ask for, so processes are forked from one that has done it.
"""

import contextlib
import gc
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from importlib import import_module
from multiprocessing import forkserver
from pathlib import Path
from unittest.mock import patch

from dbt.adapters.duckdb.connections import DuckDBConnectionManager

MAINS = {
    "dbt": ("dbt.cli.main", "cli"),
    "encoder-job": ("encoder_job.cli", "main"),
    # found on the path of whoever asks for them
    "emulated-runner": ("emulated_runner", "main"),
    "encoder-job-in-small-parts": ("job_harness", "main_in_small_parts"),
}
FORKED = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(
    [
        *("dbt.cli.main", "dbt.task.build", "dbt.adapters.duckdb", "dbt.adapters.bigquery"),
        *("encoder_job.cli", "dbt_bigframes_here.runner"),
        *("sklearn.linear_model", "forked_from"),
    ]
)


class Started:
    """A command under way with this environment in this folder, asked as one asks a `subprocess.Popen`.

    What a library reads from the environment when it is imported it has read before.
    """

    def __init__(
        self, command: str, arguments: list[str], environment: dict[str, str], folder: Path
    ) -> None:
        # the server finds modules by this variable alone
        here = Path(__file__).parent
        path = os.pathsep.join(map(str, (here, here / "warehouse")))
        with patch.dict(os.environ, PYTHONPATH=path):
            forkserver._forkserver.ensure_running()
        self.args = [command, *arguments]
        self._told = tempfile.TemporaryDirectory()
        self._paths = [Path(self._told.name, name) for name in ("stdout", "stderr")]
        for path in self._paths:
            path.touch()
        self._process = FORKED.Process(
            target=_run, args=(command, arguments, environment, folder, *self._paths)
        )
        self._process.start()

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, number)

    def said(self) -> str:
        """Return what it has said until now."""
        return self._paths[0].read_text()

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for its end, and return what it said and complained of."""
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(self.args, timeout)
        return self.said(), self._paths[1].read_text()


def run(
    command: str, arguments: list[str], environment: dict[str, str], folder: Path
) -> subprocess.CompletedProcess:
    """Run a command to its end."""
    started = Started(command, arguments, environment, folder)
    told = started.communicate()
    return subprocess.CompletedProcess(started.args, started.returncode, *told)


def _run(
    command: str,
    arguments: list[str],
    environment: dict[str, str],
    folder: Path,
    stdout: Path,
    stderr: Path,
) -> None:
    for path, descriptor in ((stdout, 1), (stderr, 2)):
        os.dup2(os.open(path, os.O_WRONLY), descriptor)
    # whoever is forked has the same server fork another, rather than start one
    forkserver._forkserver.ensure_running = lambda: None
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    sys.path[:0] = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    os.chdir(folder)
    # these processes end before garbage would matter
    gc.disable()
    # nor need what was imported be looked through at the end
    gc.freeze()
    # the process that this one is forked from passes over a failed import in silence
    parsed = import_module("forked_from").PARSED
    if command == "dbt" and "DBT_TARGET_PATH" in environment:
        target = Path(environment["DBT_TARGET_PATH"])
        if not (target / parsed.name).exists():
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(parsed, target)
    sys.argv = [command, *arguments]
    module, main = MAINS[command]
    try:
        getattr(import_module(module), main)()
    finally:
        # a forked process ends without taking its objects down, so DuckDB would leave its log behind
        opened = DuckDBConnectionManager._ENV
        if opened and opened.conn:
            opened.conn.execute("force checkpoint")
