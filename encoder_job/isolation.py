"""When an encoder fails: the content at fault is found, unless the encoder itself is."""

from collections.abc import Sequence

from encoder_job.encoders.base import Encoded, Encoder
from encoder_job.probe import encode_probe, public_contents


def encode_each(encoder: Encoder, contents: Sequence[str | bytes]) -> list[Encoded | str]:
    """Encode; a content on which the encoder fails gives a reason code, its neighbours vectors.

    No content is to blame if a public one fails as well: the encoder has lost its device, or its
    process is ending. Raises Refusal then.
    """
    try:
        return encoder.encode(contents)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # noqa: S110 - dropped whole: its message and frames can hold the content
        # a panic of a library in Rust is no Exception
        pass
    if len(contents) == 1:
        encode_probe(encoder, public_contents(encoder.modality)[:1])
        return ["encoder_error"]
    half = len(contents) // 2
    return encode_each(encoder, contents[:half]) + encode_each(encoder, contents[half:])
