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
from typing import NamedTuple

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
    StoreFault,
    Wanted,
    readable,
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


class _Key(NamedTuple):
    """A row whose content is wanted: id and version as texts, its id as it stands there."""

    object_id: str
    object_version: str
    customer_id: str | None
    raw_id: object
    raw_version: object
    place: str


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
        return self._ask_for_names()

    def _ask_for_names(self) -> list[str]:
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
            yield from self._contents([key for key in chunk if isinstance(key, _Key)])

    def _wanted(self, is_wanted: Wanted, keys: sqlalchemy.TextClause) -> Iterator[Record | _Key]:
        """Stream the keys of wanted rows, and as records those that are none."""
        with self._connected() as connection:
            streamed = connection.execution_options(yield_per=_KEY_ROWS)
            for number, values in enumerate(streamed.execute(keys).mappings(), start=1):
                place = f"{self.source} row {number}"
                key = _key(values)
                if key is None:
                    yield Record(place, dict(values))
                elif is_wanted(*key, customer := readable(values, "customer_id")):
                    raw = values["object_id"], values.get("object_version")
                    yield _Key(*key, customer, *raw, place)

    def _contents(self, wanted: list[_Key]) -> Iterator[Record]:
        """Ask for the contents of some keys: all at once, and of fewer where that breaks.

        A value that the database or its driver cannot give is so the fault of its own row.
        """
        if not wanted:
            return
        places = {(key.object_id, key.object_version): key.place for key in wanted}
        given = set()
        try:
            for values in self._asked(wanted):
                key = _key(values)
                if key in places:
                    given.add(key)
                    yield Record(places[key], dict(values))
        except Exception as error:
            broke = _type_of(error)
        else:
            return
        # or nothing is given to anybody, and no row is to blame
        self._ask_for_names()
        left = [key for key in wanted if (key.object_id, key.object_version) not in given]
        if len(wanted) > 1:
            half = (len(left) + 1) // 2
            yield from self._contents(left[:half])
            yield from self._contents(left[half:])
        elif left:
            yield from self._content(left[0], broke)

    def _content(self, key: _Key, broke: str) -> Iterator[Record]:
        """Ask for one version alone, or tell by its type which error broke the answer before."""
        try:
            found = [dict(values) for values in self._asked([key], of_version=True)]
        except Exception:
            yield Record(key.place, key._asdict(), StoreFault(broke))
        else:
            yield from (Record(key.place, values) for values in found)

    def _asked(self, keys: list[_Key], of_version: bool = False) -> Iterator[sqlalchemy.RowMapping]:
        ids = sqlalchemy.bindparam("ids", list({key.raw_id for key in keys}), expanding=True)
        bound, rest = [ids], "where object_id in :ids"
        if of_version and "object_version" in self._names:
            version = keys[0].raw_version
            rest += " and object_version " + ("is null" if version is None else "= :version")
            bound += [] if version is None else [sqlalchemy.bindparam("version", version)]
        columns = self._select(", ".join(self._columns), rest).bindparams(*bound)
        with self._engine.connect() as connection:
            streamed = connection.execution_options(yield_per=_STREAMED_ROWS)
            yield from streamed.execute(columns).mappings()

    def _select(self, columns: str, rest: str = "") -> sqlalchemy.TextClause:
        return sqlalchemy.text(f"select {columns} from (\n{self._query}\n) source {rest}")  # noqa: S608

    @contextmanager
    def _connected(self) -> Iterator[sqlalchemy.Connection]:
        try:
            with self._engine.connect() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise Refusal(
                f"source {self.source}: the database refuses ({_type_of(error)}); check the query, "
                f"the account and {URL_VARIABLE}, and run the same command again: what has landed "
                "is whole"
            ) from None


def _type_of(error: Exception) -> str:
    """Tell an error by its type: its message can quote rows."""
    return type(getattr(error, "orig", None) or error).__name__


def _key(values: dict) -> tuple[str, str] | None:
    """Return id and version as texts; None where they are none, which is the row's fault."""
    try:
        object_id = text_of(values, "object_id")
        version = text_of(values, "object_version") or DEFAULT_VERSION
    except Fault:
        return None
    return object_id and (object_id, version)
