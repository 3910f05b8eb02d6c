"""The landing folder: Parquet parts that appear whole or not at all."""

import contextlib
import errno
import os
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from encoder_job.erasure import Erased, record_owned_objects
from encoder_job.errors import Refusal
from encoder_job.identity import canonical_hash
from encoder_job.landing.schemas import (
    SCHEMAS,
    SUBJECTS,
    optional_columns,
    table_of,
    tables_with_subjects,
)
from encoder_job.storage import (
    TEMPORARY,
    filesystem_of,
    is_damage,
    opening_refusal,
    replace_file,
    shown,
)

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_PART = "part-"
_STALE_SECONDS = 3600
# what these store can be seen only when it is whole
_OBJECT_STORES = {"s3", "gs", "abfs", "oss", "oci", "memory"}
# what a run makes again out of the source; of the rest nothing else knows
_MADE_AGAIN = {"object_events", "embedding_events", "encoding_failures"}


class FolderLanding:
    """A folder, or any fsspec URL, with one folder of Parquet parts for each landing table."""

    part_seconds = 60.0

    def __init__(self, prefix: str) -> None:
        self.prefix = shown(prefix)
        try:
            self._fs, self._root = filesystem_of(prefix)
        except (ValueError, ImportError) as error:
            raise opening_refusal("landing", prefix, error, "give a folder or URL") from None
        self._is_local = "file" in _protocols(self._fs)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the landing for one run: two at once would encode the same objects twice.

        The lock is the operating system's: it is gone with the process that held it. Other
        filesystems have none; there, two runs at once land rows that staging drops as repeats.
        """
        if not self._is_local:
            yield
            return
        import fcntl

        with self._clear_errors(self._root):
            Path(self._root).mkdir(parents=True, exist_ok=True)
            lock = os.open(Path(self._root, ".encoder-job.lock"), os.O_CREAT | os.O_RDWR, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            is_taken = isinstance(error, BlockingIOError)
            told = (
                "another encoder-job is at work here; wait for it"
                if is_taken
                else f"its filesystem gives no lock (errno {error.errno}); mend it, or give another"
            )
            raise Refusal(f"landing {self.prefix}: {told}") from None
        try:
            yield
        finally:
            os.close(lock)

    def ensure_tables(self) -> None:
        """Give every table its typed, empty part: a reader's glob must match something."""
        for table, schema in SCHEMAS.items():
            path = f"{self._root}/{table}/empty.parquet"
            # by their columns: another version of the library writes other bytes, and a part that
            # is new asks for a build
            if not self._has_schema(path, schema):
                self._write(path, schema.empty_table())
            self._clear_up(table)

    def has_tables(self) -> bool:
        """Tell whether somebody has made the tables."""
        with self._clear_errors(self._root):
            return self._fs.exists(f"{self._root}/encoder_runs/empty.parquet")

    def write_part(self, table: str, rows: Iterable[dict] | pa.Table, ids: object) -> bool:
        """Land rows as one part, named by their ids. True if this changed the folder."""
        path = f"{self._root}/{table}/{_PART}{canonical_hash(ids)}.parquet"
        return self._write(path, table_of(table, rows))

    def read(self, table: str, columns: list[str]) -> Iterator[dict[str, list]]:
        """Yield these columns of every part that has landed, a batch at a time."""
        for path in self._parts(table):
            with self._whole(path), self._fs.open(path, "rb") as file, pq.ParquetFile(file) as part:
                left_out = {*optional_columns(table)} - {*part.schema_arrow.names}
                for batch in part.iter_batches(columns=columns):
                    yield {
                        name: [None] * len(batch)
                        if name in left_out
                        else batch.column(name).to_pylist()
                        for name in columns
                    }

    def erase(self, erased: Erased) -> Counter[str]:
        """Rewrite every part that holds rows of erased customers and objects; rows by table."""
        # nobody else is at work here, so these are left by killed runs
        for table in SCHEMAS:
            self._clear_up(table, is_alone=True)
        record_owned_objects(self, erased)
        removed: Counter[str] = Counter()
        for table in tables_with_subjects():
            for path in self._parts(table):
                removed[table] += self._rewrite(path, erased, table == "object_events")
        return removed

    def _rewrite(self, path: str, erased: Erased, keeps_unrecorded: bool) -> int:
        """Leave the rows of erased subjects out of a part. Returns how many there were."""
        kept = pa.BufferOutputStream()
        with self._whole(path), self._fs.open(path, "rb") as file, pq.ParquetFile(file) as part:
            # most parts hold none of them: their vectors are not read
            subjects = [name for name in SUBJECTS if name in part.schema_arrow.names]
            if not any(
                pc.any(pc.invert(_not_erased(batch, erased, keeps_unrecorded))).as_py()
                for batch in part.iter_batches(columns=subjects)
            ):
                return 0
            count = 0
            with pq.ParquetWriter(kept, part.schema_arrow, compression="zstd") as writer:
                for batch in part.iter_batches():
                    rows = batch.filter(_not_erased(batch, erased, keeps_unrecorded))
                    count += batch.num_rows - rows.num_rows
                    writer.write_batch(rows)
        self._put(path, kept.getvalue().to_pybytes())
        return count

    def _parts(self, table: str) -> list[str]:
        folder = f"{self._root}/{table}"
        self._fs.invalidate_cache()
        if not self._fs.exists(folder):
            return []
        return sorted(path for path in self._fs.find(folder) if path.endswith(".parquet"))

    def _has_schema(self, path: str, schema: pa.Schema) -> bool:
        with self._clear_errors(path):
            if not self._fs.exists(path):
                return False
        found = self._schema(path)
        return found is not None and found.equals(schema)

    def _schema(self, path: str) -> pa.Schema | None:
        """Return the columns of a part, or None if it is not whole."""
        with self._fs.open(path, "rb") as file, contextlib.suppress(pa.ArrowException):
            return pq.read_schema(file)
        return None

    def _write(self, path: str, table: pa.Table) -> bool:
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        content = sink.getvalue().to_pybytes()
        with self._clear_errors(path):
            if self._fs.exists(path) and self._fs.cat_file(path) == content:
                return False
        self._put(path, content)
        return True

    def _put(self, path: str, content: bytes) -> None:
        with self._clear_errors(path):
            if self._is_local:
                replace_file(Path(path), content)
                return
            folder, _, name = path.rpartition("/")
            self._fs.makedirs(folder, exist_ok=True)
            if _OBJECT_STORES & {*_protocols(self._fs)}:
                self._fs.pipe_file(path, content)
                return
            # on any other server under a name that no reader looks for, and then renamed: onto
            # another file not every server can
            temporary = f"{folder}/.{name}.{secrets.token_hex(4)}{TEMPORARY}"
            self._fs.pipe_file(temporary, content)
            if self._fs.exists(path):
                self._fs.rm_file(path)
            self._fs.mv(temporary, path)

    def _clear_up(self, table: str, is_alone: bool = False) -> None:
        """Remove what killed runs left half written; a reader never sees these names.

        Where a part is not replaced at once, it may be away and what takes its place here: that is
        left alone, and takes its place when nobody else is at work.
        """
        for path in self._fs.find(f"{self._root}/{table}"):
            folder, _, name = path.rpartition("/")
            if not (name.startswith(".") and name.endswith(TEMPORARY)):
                continue
            part = f"{folder}/{name[1:].removesuffix(TEMPORARY).rpartition('.')[0]}"
            # another run at the same time may be done with it
            with contextlib.suppress(FileNotFoundError):
                if not (is_alone or self._is_stale(path)):
                    continue
                if self._is_local or self._fs.exists(part) or self._schema(path) is None:
                    self._fs.rm_file(path)
                elif is_alone:
                    self._fs.mv(path, part)

    def _is_stale(self, path: str) -> bool:
        """Whether nobody writes a file any more, as far as its server can tell."""
        try:
            age = datetime.now(UTC) - self._fs.modified(path)
        except NotImplementedError:
            return False
        return age >= timedelta(seconds=_STALE_SECONDS)

    @contextlib.contextmanager
    def _whole(self, path: str) -> Iterator[None]:
        """Refuse a part that cannot be read; what to do depends on who wrote it."""
        try:
            yield
        except Exception as error:
            folder, _, name = path.rpartition("/")
            told = "is broken"
            if not is_damage(error):
                told = "cannot be read"
                remedy = "mend that and run again: nothing is lost"
            elif name.startswith(_PART) and folder.rpartition("/")[2] in _MADE_AGAIN:
                remedy = "remove the file and run again: what it held is made again"
            else:
                remedy = (
                    "restore it, or land it again from where it came, with all columns up to the "
                    "time: nothing here makes again what it held"
                )
            raise Refusal(
                f"{self._shown(path)}: this part {told} ({type(error).__name__}); {remedy}"
            ) from None

    def _shown(self, path: str) -> str:
        return f"{self.prefix.rstrip('/')}{path.removeprefix(self._root.rstrip('/'))}"

    @contextlib.contextmanager
    def _clear_errors(self, path: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            # a store's own errors have no number
            number = getattr(error, "errno", None)
            if number in _FULL:
                told = "is full; make room"
            elif isinstance(error, PermissionError) or number == errno.EROFS:
                told = "is read-only for this user; allow writing, or give another --landing"
            elif isinstance(error, (NotADirectoryError, FileExistsError)):
                told = "is no folder; give another --landing"
            else:
                told = f"cannot be written ({type(error).__name__}, errno {number}); mend it"
            raise Refusal(
                f"landing {self.prefix} {told} and run the same command again "
                f"(at {self._shown(path)}; no half-written part is left)"
            ) from None


def _not_erased(batch: pa.RecordBatch, erased: Erased, keeps_unrecorded: bool) -> pa.Array:
    """Return which rows stay.

    Those that tell whose an object is go by the hashes that were recorded: one that landed since
    then stays for the next erasure, or nothing would tell.
    """
    objects, customers = (
        batch.column(name).cast(pa.string())
        if name in batch.schema.names
        else pa.nulls(batch.num_rows, pa.string())
        for name in SUBJECTS
    )
    of_objects = _found(objects, lambda one: erased.covers(one, None))
    of_customers = _found(customers, lambda one: erased.covers(None, one))
    if keeps_unrecorded:
        of_customers = pc.and_(of_customers, pc.is_null(objects))
    return pc.invert(pc.or_(of_objects, of_customers))


def _found(ids: pa.Array, is_sought: Callable[[str | None], bool]) -> pa.Array:
    sought = [one for one in ids.unique().to_pylist() if one is not None and is_sought(one)]
    return pc.is_in(ids, value_set=pa.array(sought, pa.string()))


def _protocols(fs: fsspec.AbstractFileSystem) -> tuple[str, ...]:
    return (fs.protocol,) if isinstance(fs.protocol, str) else tuple(fs.protocol)
