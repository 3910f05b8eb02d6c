"""Objects as rows of a query, over SQLAlchemy.

Keys are streamed first; contents are asked for only of objects that are wanted, many at a time. So
a run over a table that has been encoded reads no content, and none reads the whole table at once.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
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
    Wanted,
    require,
    text_of,
)
from encoder_job.readers.shards import shard_rows

URL_VARIABLE = "EMBEDDING_STORE_SOURCE_URL"
_KEYS = ("object_id", "object_version", "customer_id")
# rows of a round trip: keys are small, contents are not
_KEY_ROWS, _CONTENT_ROWS, _STREAMED_ROWS = 10_000, 200, 20
# a query of BigQuery reads a column, or blocks of it, however few rows it asks for
_CONTENT_ROWS_BIGQUERY = 10_000
# the first and the last of a range; None stands for all rows without an id
Ids = tuple[object, object] | None


class SqlSource:
    """The rows of one query: `sql:` and the file that holds it; the URL comes by environment."""

    def __init__(self, source: str, modality: str, memory: int) -> None:
        self.source, self._parse = source, RowParser(modality, memory)
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

    def check(self) -> int:
        """Ask for the columns and the number of rows; refuse what cannot be used."""
        require(self._names, self.source)
        with self._connected() as connection:
            return connection.execute(self._select("count(*)")).scalar_one()

    @cached_property
    def _names(self) -> list[str]:
        with self._connected() as connection:
            return list(connection.execute(self._select("*", "where 1 = 0")).keys())

    @property
    def _columns(self) -> list[str]:
        return [name for name in COLUMNS if name in self._names]

    @property
    def _content_rows(self) -> int:
        is_bigquery = self._engine.dialect.name == "bigquery"
        return _CONTENT_ROWS_BIGQUERY if is_bigquery else _CONTENT_ROWS

    @property
    def _key_columns(self) -> str:
        return ", ".join(name for name in _KEYS if name in self._names)

    def rows(self, is_wanted: Wanted, newest_first: bool = False) -> Iterator[Row]:
        """Yield the rows that are wanted, and those whose keys are none with their fault."""
        order = "order by object_created_at desc" if newest_first else ""
        yield from self._rows(is_wanted, self._select(self._key_columns, order))

    def shards(self) -> Iterator[Ids]:
        """Yield ranges of ids, in the database's order, of at least `shard_rows` rows each."""
        most = max(shard_rows(self.check()), self._content_rows)
        ids = self._select("object_id, count(*) as row_count", "group by object_id order by 1")
        shard, count = None, 0
        with self._connected() as connection:
            streamed = connection.execution_options(yield_per=_KEY_ROWS)
            for object_id, row_count in streamed.execute(ids):
                if object_id is None:
                    yield None
                    continue
                shard = (shard[0] if shard else object_id, object_id)
                count += row_count
                if count >= most:
                    yield shard
                    shard, count = None, 0
        if shard:
            yield shard

    def rows_of(self, shard: Ids, is_wanted: Wanted) -> Iterator[Row]:
        """Yield the rows of a range of ids that are wanted."""
        if shard is None:
            keys = self._select(self._key_columns, "where object_id is null")
        else:
            keys = self._select(self._key_columns, "where object_id between :first and :last")
            keys = keys.bindparams(first=shard[0], last=shard[1])
        yield from self._rows(is_wanted, keys)

    def _rows(self, is_wanted: Wanted, keys: sqlalchemy.TextClause) -> Iterator[Row]:
        # asked once: what comes after that is wanted
        yield from self._parse(self._records(self._wanted(is_wanted, keys)), lambda *_: True)

    def _records(self, wanted: Iterator) -> Iterator[Record]:
        while chunk := list(islice(wanted, self._content_rows)):
            yield from (key for key in chunk if isinstance(key, Record))
            yield from self._contents(dict(key for key in chunk if not isinstance(key, Record)))

    def _wanted(
        self, is_wanted: Wanted, keys: sqlalchemy.TextClause
    ) -> Iterator[Record | tuple[tuple[str, str], tuple[object, str]]]:
        """Stream the keys: of wanted rows id and version, with the raw id and the place."""
        with self._connected() as connection:
            streamed = connection.execution_options(yield_per=_KEY_ROWS)
            for number, values in enumerate(streamed.execute(keys).mappings(), start=1):
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
