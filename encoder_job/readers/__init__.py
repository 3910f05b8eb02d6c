"""Readers: where objects come from, as a stream of rows."""

from encoder_job.readers.base import Row, Source

__all__ = ["Row", "Source", "open_source"]


def open_source(source: str, modality: str, memory: int) -> Source:
    """Open a manifest, a folder of them, or `sql:` with a file that holds a query.

    Contents that it has read and not yet given away take no more than `memory` bytes.
    """
    if source.startswith("sql:"):
        from encoder_job.readers.sql import SqlSource

        return SqlSource(source, modality, memory)
    from encoder_job.readers.files import Manifest

    return Manifest(source, modality, memory)
