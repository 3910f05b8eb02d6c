"""Hands a compiled Python model to a process beside dbt, and waits for its end."""

import json
import subprocess
import sys
from typing import Any

from dbt.adapters.base import PythonJobHelper, PythonSubmissionResult
from dbt.adapters.bigquery.credentials import BigQueryCredentials
from dbt_common.exceptions import DbtRuntimeError

RUNNER = "dbt_bigframes_here.runner"
_DEFAULT_SECONDS = 60 * 60
_LINES_SHOWN = 30


def run(job: str, seconds: float) -> subprocess.CompletedProcess:
    """Run a job, given as JSON, beside dbt; raises TimeoutExpired after so many seconds."""
    return subprocess.run(  # noqa: S603
        [sys.executable, "-m", RUNNER],
        input=job,
        stderr=subprocess.PIPE,
        text=True,
        timeout=seconds,
        check=False,
    )


class ProcessHelper(PythonJobHelper):
    """Stands where dbt-bigquery's `BigFramesHelper` stands, with its two methods."""

    def __init__(self, parsed_model: dict[str, Any], credentials: BigQueryCredentials) -> None:
        self._name = parsed_model["alias"]
        self._seconds = parsed_model["config"].get("timeout") or _DEFAULT_SECONDS
        self._credentials = credentials

    def submit(self, compiled_code: str) -> PythonSubmissionResult:
        """Run the code to its end; raises DbtRuntimeError with the end of what it complained of.

        The account goes through a pipe: it is in no file, no argument and no variable. What the
        model prints is shown, as on DuckDB.
        """
        credentials = self._credentials.to_dict()
        job = {"name": self._name, "code": compiled_code, "credentials": credentials}
        try:
            done = run(json.dumps(job), self._seconds)
        except subprocess.TimeoutExpired:
            raise DbtRuntimeError(
                f"Python model {self._name} took more than {self._seconds} s; raise its `timeout`"
            ) from None
        if done.returncode:
            told = "\n".join(done.stderr.splitlines()[-_LINES_SHOWN:])
            raise DbtRuntimeError(f"Python model {self._name} failed:\n{told}")
        return PythonSubmissionResult(run_id=f"process-{self._name}", compiled_code=compiled_code)
