"""When an encoder fails: the content at fault is found, unless the encoder itself is."""

from collections.abc import Sequence

from encoder_job.encoders.base import Encoded, Encoder
from encoder_job.errors import Refusal
from encoder_job.probe import public_contents


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
    if len(contents) < 2:
        _check(encoder)
        return ["encoder_error"] * len(contents)
    half = len(contents) // 2
    return encode_each(encoder, contents[:half]) + encode_each(encoder, contents[half:])


def _check(encoder: Encoder) -> None:
    try:
        encoder.encode(public_contents(encoder.modality)[:1])
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        raise Refusal(
            f"the encoder works no longer, not even on a public content ({type(error).__name__}): "
            "its device is lost, or its process is ending; what has landed is whole, and the same "
            "command continues"
        ) from None
