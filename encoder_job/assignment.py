"""What a run is asked to do, in words that can be sent to another machine."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from encoder_job.errors import Refusal
from encoder_job.registry import EncoderRow

if TYPE_CHECKING:
    from encoder_job.encoders import Encoder
    from encoder_job.readers import Source

# libraries are heavy: what nobody opens is not imported


@dataclass(frozen=True)
class Assignment:
    """A source, the encoder for it, and where its events land."""

    source: str
    registered: EncoderRow
    landing: str
    project_dir: Path
    # contents that are encoded side by side; None: as many as the encoder likes
    workers: int | None
    # bytes that contents may take which are read ahead
    memory: int

    def open_source(self) -> "Source":
        """Open the source, unchecked."""
        from encoder_job.readers import open_source

        return open_source(self.source, self.registered.modality, self.memory)

    def open_encoder(self) -> "Encoder":
        """Load the encoder; refuse it unless it is the registered one and computes the same."""
        from encoder_job.verification import checked_encoder

        if self.registered.state == "retired":
            raise Refusal(
                f"seeds/encoders.csv: {self.registered.encoder_id} is retired; choose another "
                "--encoder, or change its state"
            )
        encoder, _, _ = checked_encoder(self.registered, self.project_dir)
        if self.workers:
            encoder.workers = self.workers
        return encoder
