"""Where events land: what the job needs of a landing, and which kind a prefix names.

`schemas` are the landing tables; `folder` holds them at any fsspec URL, `bigquery` in a dataset.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa

if TYPE_CHECKING:
    from encoder_job.erasure import Erased


class Landing(Protocol):
    """The landing tables, in a folder or in a warehouse's dataset."""

    # how old what was encoded may get before it lands: the most that a kill costs
    part_seconds: float

    def alone(self) -> AbstractContextManager[None]:
        """Hold the landing for one run, where that can be had."""

    def ensure_tables(self) -> None:
        """Make every landing table that is not there yet, typed and empty, and add new columns."""

    def has_tables(self) -> bool:
        """Tell whether somebody has made the tables."""

    def write_part(self, table: str, rows: Iterable[dict] | pa.Table, ids: object) -> bool:
        """Land rows as one part, whole or not at all. True if this changed the landing.

        The ids name the part: landing it again lands nothing.
        """

    def read(self, table: str, columns: list[str]) -> Iterator[dict[str, list]]:
        """Yield these columns of all that has landed, a batch at a time."""

    def erase(self, erased: "Erased") -> Counter[str]:
        """Remove the rows of all customers and objects that requests name; rows by table.

        Requests stay. Which objects are a customer's is recorded first, as hashes, so that a killed
        run is completed by the next, and what lands later of these objects is found.
        """


def open_landing(prefix: str) -> Landing:
    """Open a folder, an fsspec URL, or `bigquery://project.dataset`."""
    if prefix.startswith("bigquery://"):
        from encoder_job.landing.bigquery import BigQueryLanding

        return BigQueryLanding(prefix)
    from encoder_job.landing.folder import FolderLanding

    return FolderLanding(prefix)
