"""Objects as rows of a query, over SQLAlchemy.

Keys are streamed first; contents are asked for only of objects that are wanted, many at a time. So
a run over a table that has been encoded reads no content, and none reads the whole table at once.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import sqlalchemy
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from encoder_job.errors import Refusal
from encoder_job.readers.base import (
    COLUMNS,
    DEFAULT_VERSION,
    Fault,
    Record,
    Row,
    RowParser,
    require,
    text_of,
)

URL_VARIABLE = "EMBEDDING_STORE_SOURCE_URL"
_KEYS = ("object_id", "object_version", "customer_id")
# rows of a round trip: keys are small, contents are not
_KEY_ROWS, _CONTENT_ROWS, _STREAMED_ROWS = 10_000, 200, 20


class SqlSource:
    """The rows of one query: `sql:` and the file that holds it; the URL comes by environment."""

    def __init__(self, source: str, modality: str) -> None:
        self.source, self._modality = source, modality
        url = os.environ.get(URL_VARIABLE)
        if not url:
            raise Refusal(
                f"{URL_VARIABLE} is not set: for --source {source} it holds the SQLAlchemy URL of "
                "the database, such as postgresql+psycopg://user:password@host/database"
            )
        try:
            query = Path(source.removeprefix("sql:")).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise Refusal(
                f"source {source}: the query cannot be read ({type(error).__name__}); give sql: "
                "and the path of a file with one select statement"
            ) from None
        # a colon of the query is none of ours
        self._query = query.strip().rstrip(";").replace(":", "\\:")
        try:
            self._engine = sqlalchemy.create_engine(url, hide_parameters=True)
        except (ArgumentError, NoSuchModuleError, ImportError) as error:
            raise Refusal(
                f"{URL_VARIABLE}: no database can be opened with it ({type(error).__name__}); "
                "correct it, or install the driver that it names"
            ) from None
        self._columns: list[str] = []

    def check(self) -> int:
        """Ask for the columns and the number of rows; refuse what cannot be used."""
        with self._connected() as connection:
            names = list(connection.execute(self._select("*", "where 1 = 0")).keys())
            require(names, self.source)
            self._columns = [name for name in COLUMNS if name in names]
            return connection.execute(self._select("count(*)")).scalar_one()

    def rows(
        self, is_wanted: Callable[[str, str, str | None], bool], newest_first: bool = False
    ) -> Iterator[Row]:
        """Yield the rows that are wanted, and those whose keys are none with their fault."""
        order = "order by object_created_at desc" if newest_first else ""
        yield from RowParser(self._modality)(self._records(self._wanted(is_wanted, order)))

    def _records(self, wanted: Iterator) -> Iterator[Record]:
        while chunk := list(islice(wanted, _CONTENT_ROWS)):
            yield from (key for key in chunk if isinstance(key, Record))
            yield from self._contents(dict(key for key in chunk if not isinstance(key, Record)))

    def _wanted(
        self, is_wanted: Callable[[str, str, str | None], bool], order: str
    ) -> Iterator[Record | tuple[tuple[str, str], tuple[object, str]]]:
        """Stream the keys: of wanted rows id and version, with the raw id and the place."""
        columns = [name for name in _KEYS if name in self._columns]
        with self._connected() as connection:
            streamed = connection.execution_options(yield_per=_KEY_ROWS)
            found = streamed.execute(self._select(", ".join(columns), order)).mappings()
            for number, values in enumerate(found, start=1):
                place = f"{self.source} row {number}"
                key = _key(values)
                if key is None:
                    yield Record(place, dict(values))
                elif is_wanted(*key, _customer(values)):
                    yield key, (values["object_id"], place)

    def _contents(self, wanted: dict[tuple[str, str], tuple[object, str]]) -> Iterator[Record]:
        """Ask for the contents of some keys, all at once."""
        if not wanted:
            return
        ids = sqlalchemy.bindparam("ids", expanding=True)
        statement = self._select(", ".join(self._columns), "where object_id in :ids")
        raw_ids = {raw for raw, _ in wanted.values()}
        with self._connected() as connection:
            streamed = connection.execution_options(yield_per=_STREAMED_ROWS)
            for values in streamed.execute(
                statement.bindparams(ids), {"ids": list(raw_ids)}
            ).mappings():
                key = _key(values)
                if key in wanted:
                    yield Record(wanted[key][1], dict(values))

    def _select(self, columns: str, rest: str = "") -> sqlalchemy.TextClause:
        return sqlalchemy.text(f"select {columns} from (\n{self._query}\n) source {rest}")  # noqa: S608

    @contextmanager
    def _connected(self) -> Iterator[sqlalchemy.Connection]:
        try:
            with self._engine.connect() as connection:
                yield connection
        except SQLAlchemyError as error:
            # its message can quote rows
            name = type(getattr(error, "orig", None) or error).__name__
            raise Refusal(
                f"source {self.source}: the database refuses ({name}); check the query, the "
                f"account and {URL_VARIABLE}, and run the same command again: what has landed is "
                "whole"
            ) from None


def _customer(values: dict) -> str | None:
    try:
        return text_of(values, "customer_id")
    except Fault:
        return None


def _key(values: dict) -> tuple[str, str] | None:
    """Return id and version as texts; None where they are none, which is the row's fault."""
    try:
        object_id = text_of(values, "object_id")
        version = text_of(values, "object_version") or DEFAULT_VERSION
    except Fault:
        return None
    return object_id and (object_id, version)
