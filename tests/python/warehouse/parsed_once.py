"""Imported by the process that dbt's are forked from: the project is parsed in it once.

dbt makes what reads, writes and checks each of its classes when it first meets the class. A process that is
forked has it all, and starts two seconds sooner.
"""

import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from dbt.cli.main import dbtRunner

PROJECT = Path(__file__).parents[3]

with TemporaryDirectory() as folder:
    shutil.copy(PROJECT / "profiles.yml.example", Path(folder) / "profiles.yml")
    places = ("DBT_LOG_PATH", "DBT_PROFILES_DIR", "DBT_TARGET_PATH")
    with patch.dict(os.environ, dict.fromkeys(places, folder), DBT_PROJECT_DIR=str(PROJECT)):
        parsed = dbtRunner().invoke(["--quiet", "--no-static-parser", "parse"])
    assert parsed.success, parsed.exception
