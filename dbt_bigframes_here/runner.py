"""The process beside dbt: connects BigFrames as the profile says, and runs one compiled model."""

import json
import os
import sys
import threading
import time
from typing import Any

import bigframes.pandas
from dbt.adapters.bigquery.credentials import BigQueryCredentials, create_google_credentials


def connect(credentials: BigQueryCredentials) -> None:
    """Give BigFrames the account and the endpoint of the profile."""
    options = bigframes.pandas.options.bigquery
    options.credentials = create_google_credentials(credentials)
    if credentials.api_endpoint:
        options.client_endpoints_override = {"bqclient": credentials.api_endpoint}


def end_with_parent() -> None:
    """End when dbt is gone: what nobody waits for must not write a table later."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def run(job: dict[str, Any]) -> None:
    """Run the code that dbt compiled, as the notebook would: as the main module."""
    end_with_parent()
    connect(BigQueryCredentials.from_dict(job["credentials"]))
    compiled = compile(job["code"], f"<{job['name']}>", "exec")
    exec(compiled, {"__name__": "__main__"})  # noqa: S102


if __name__ == "__main__":
    run(json.load(sys.stdin))
