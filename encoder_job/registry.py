"""`seeds/encoders.csv`: which encoders this store knows, reviewed as code."""

import csv
import io
import re
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from encoder_job.errors import Refusal
from encoder_job.storage import replace_file

MODALITIES = ("text", "image")
STATES = ("candidate", "active", "retired")
_ID = re.compile(r"[a-z0-9][a-z0-9._-]*")


# how far from 1 a vector's length may be, of an encoder whose vectors all have it: as in the
# warehouse, which rejects others (`unit_norm_tolerance`)
UNIT_NORM_WITHIN = 1e-3


@dataclass(frozen=True)
class EncoderRow:
    """One row of the registry; the fields are its columns, in order."""

    encoder_id: str
    modality: str
    embedding_dim: int
    is_unit_norm: bool
    encoder_fingerprint: str
    loader: str
    location: str
    state: str


_COLUMNS = [field.name for field in fields(EncoderRow)]


class Registry:
    """The rows of `seeds/encoders.csv` below a project folder."""

    def __init__(self, project_dir: Path) -> None:
        self.path = project_dir / "seeds" / "encoders.csv"
        self.rows = self._read()

    def find(self, encoder_id: str) -> EncoderRow | None:
        """Return the row of an id, or None."""
        return next((row for row in self.rows if row.encoder_id == encoder_id), None)

    def get(self, encoder_id: str) -> EncoderRow:
        """Return the row of an id; refuse an unknown one."""
        row = self.find(encoder_id)
        if row is None:
            known = ", ".join(row.encoder_id for row in self.rows) or "none"
            raise Refusal(
                f"{self._shown}: no encoder {encoder_id!r} (known: {known}); register it with "
                f"`encoder-job register {encoder_id} --location ...`"
            )
        return row

    def active(self, modality: str) -> EncoderRow:
        """Return the one active encoder of a modality."""
        rows = [row for row in self.rows if (row.modality, row.state) == (modality, "active")]
        if len(rows) != 1:
            found = ", ".join(row.encoder_id for row in rows) or "none"
            raise Refusal(
                f"{self._shown}: column state: exactly one encoder of modality {modality} must be "
                f"active, found {found}; edit the file, or choose one with --encoder"
            )
        return rows[0]

    def put(self, new: EncoderRow) -> bool:
        """Write an encoder's row. True if the file changed."""
        if not _ID.fullmatch(new.encoder_id):
            raise Refusal(
                f"encoder id {new.encoder_id!r}: ids are lower-case letters, digits, '.', '_' and "
                "'-' (they name a file too); choose another"
            )
        old = self.find(new.encoder_id)
        if old and old.encoder_fingerprint != new.encoder_fingerprint:
            raise Refusal(
                f"{self._shown}: {new.encoder_id} is registered with fingerprint "
                f"{old.encoder_fingerprint}, and this encoder has {new.encoder_fingerprint}: other "
                "weights or settings are another encoder; register it under a new id"
            )
        for row in self.rows:
            if row is old:
                continue
            if row.encoder_fingerprint == new.encoder_fingerprint:
                raise Refusal(
                    f"{self._shown}: this very encoder is registered as {row.encoder_id}; use that "
                    "id"
                )
            if new.state == "active" and (row.modality, row.state) == (new.modality, "active"):
                raise Refusal(
                    f"{self._shown}: {row.encoder_id} is the active encoder of modality "
                    f"{row.modality}; give it another state first"
                )
        rows = [new if row is old else row for row in self.rows] + ([] if old else [new])
        if rows == self.rows:
            return False
        text = io.StringIO()
        writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow(asdict(row) | {"is_unit_norm": str(row.is_unit_norm).lower()})
        replace_file(self.path, text.getvalue().encode())
        self.rows = rows
        return True

    def _read(self) -> list[EncoderRow]:
        try:
            text = self.path.read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            return []
        except (OSError, UnicodeDecodeError) as error:
            raise Refusal(f"{self._shown}: cannot be read ({type(error).__name__})") from None
        reader = csv.DictReader(io.StringIO(text))
        for column in _COLUMNS:
            if column not in (reader.fieldnames or []):
                raise Refusal(f"{self._shown}: the column {column} is missing; add it")
        rows: list[EncoderRow] = []
        for number, line in enumerate(reader, start=1):
            row = self._parse(number, line)
            if any(row.encoder_id == other.encoder_id for other in rows):
                raise Refusal(
                    f"{self._shown} row {number}: {row.encoder_id} is there twice; keep one row"
                )
            rows.append(row)
        return rows

    def _parse(self, number: int, line: dict[str, str]) -> EncoderRow:
        values = {column: (line[column] or "").strip() for column in _COLUMNS}
        rules = {
            "encoder_id": bool(values["encoder_id"]),
            "modality": values["modality"] in MODALITIES,
            "embedding_dim": values["embedding_dim"].isdecimal(),
            "is_unit_norm": values["is_unit_norm"].lower() in ("true", "false"),
            "state": values["state"] in STATES,
        }
        for column, holds in rules.items():
            if not holds:
                choices = {"state": STATES, "modality": MODALITIES}.get(column)
                told = f" (one of {', '.join(choices)})" if choices else ""
                raise Refusal(
                    f"{self._shown} row {number} column {column}: {values[column]!r} is not "
                    f"allowed{told}; correct it"
                )
        return replace(
            EncoderRow(**values),
            embedding_dim=int(values["embedding_dim"]),
            is_unit_norm=values["is_unit_norm"].lower() == "true",
        )

    @property
    def _shown(self) -> str:
        return "seeds/encoders.csv"
