"""Files here and at any fsspec URL: opened, read, replaced, and told of without secrets."""

import os
import re
import secrets
from pathlib import Path

import fsspec
import pyarrow as pa
from fsspec.implementations.cached import CachingFileSystem
from fsspec.implementations.local import LocalFileSystem
from fsspec.registry import known_implementations

from encoder_job.errors import Refusal

TEMPORARY = ".part"
_USER = re.compile(r"(?<=://)[^/]*@")
# of these what stands before the @ is a container
_AZURE = ("abfs://", "abfss://", "az://")


def filesystem_of(url: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """Open a URL or a path. Raise ValueError where contents would be kept on this machine."""
    links = url.split("::")
    # a path alone may be named as a protocol is
    protocols = [it.partition("://")[0] for it in links if len(links) > 1 or "://" in it]
    if any(map(_keeps_copies, protocols)):
        raise ValueError("contents are not to be kept on this machine")
    return fsspec.core.url_to_fs(url)


def _keeps_copies(protocol: str) -> bool:
    return protocol in fsspec.available_protocols() and issubclass(
        fsspec.get_filesystem_class(protocol), CachingFileSystem
    )


def package_for(url: str) -> str:
    """Tell what fsspec needs for a URL, in its own words."""
    return known_implementations.get(url.partition("://")[0], {}).get("err", "install it")


def shown(url: str) -> str:
    """Return a URL as a message may tell it: without user, password, token or signature."""
    links = []
    for link in url.split("::"):
        if "://" in link:
            link = link.partition("?")[0]
            link = link if link.startswith(_AZURE) else _USER.sub("", link)
        links.append(link)
    return "::".join(links)


def opening_refusal(what: str, url: str, error: Exception, otherwise: str) -> Refusal:
    """Refuse a URL that cannot be opened; `otherwise` is the remedy where no package is missing."""
    remedy = package_for(url) if isinstance(error, ImportError) else otherwise
    return Refusal(f"{what} {shown(url)}: cannot be opened ({type(error).__name__}); {remedy}")


def is_damage(error: Exception) -> bool:
    """Whether a Parquet file is damaged, rather than its store at fault.

    Of a damage pyarrow tells as its own errors, or as a plain OSError without a number.
    """
    if isinstance(error, OSError) and not isinstance(error, pa.ArrowException):
        return type(error) is OSError and error.errno is None
    return isinstance(error, (pa.ArrowException, KeyError))


def read_at_most(fs: fsspec.AbstractFileSystem, path: str, most_bytes: int) -> bytes:
    """Read a file, but no more of it than tells that it is too large: a byte more than allowed."""
    # whoever opens a pipe waits for a writer
    if isinstance(fs, LocalFileSystem) and fs.info(path)["type"] != "file":
        raise ValueError("this is no file")
    with fs.open(path, "rb") as file:
        is_google = fs.unstrip_protocol("").startswith("gs:")
        if is_google and file.details.get("contentEncoding") == "gzip":
            raise ValueError("gcsfs unpacks this file, and cuts it off at its packed length")
        pieces, left = [], most_bytes + 1
        # a web server that does not tell the length gives at a time what has arrived
        while left and (piece := file.read(left)):
            pieces.append(piece)
            left -= len(piece)
        return b"".join(pieces)


def replace_file(path: Path, content: bytes) -> None:
    """Write a local file so that a reader, or a kill at any moment, finds it old or new, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{TEMPORARY}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
