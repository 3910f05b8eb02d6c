"""A thousand generated bad inputs, texts and images, beside good ones: each fails by name, and every good one lands."""

import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from job_harness import Job, record, without_content
from test_job_images import picture, png_that_claims, saved

from encoder_job.errors import REASONS

BAD, GOOD = 500, 100
_COLUMNS = ("object_id", "customer_id", "source_reference", "object_created_at")


def _wrong_value(chance: random.Random) -> object:
    return chance.choice([None, "", " ", [], {}, 2.5, True, "\ud800", ["x"], {"a": 1}])


def _without_a_column(chance: random.Random, row: dict) -> dict:
    # a number or a flag is no id and no time; what is missing is missing
    return row | {chance.choice(_COLUMNS): _wrong_value(chance)}


def _at_no_time(chance: random.Random, row: dict) -> dict:
    times = [
        "yesterday",
        "2026-13-01",
        "2026-07-02T25:00:00",
        "9999-12-31",
        "0000-00-00",
        12,
        "now",
    ]
    return row | {"object_created_at": chance.choice(times)}


def _with_a_hostile_uri(chance: random.Random, row: dict) -> dict:
    names = [
        "missing.txt",
        "../../none/secret.txt",
        "a" * 5_000,
        "nul\x00byte.txt",
        "line\nbreak.txt",
        "http://127.0.0.1:9/x.txt",
        "s3://no-such-bucket/x",
        "nosuch://scheme/x",
        "file:///none/of/this",
        "memory://nothing/here",
        "folder",
        "%2e%2e/x",
        "\u202egnp.txt",
    ]
    number = int(str(row["object_id"]).partition("-")[2])
    return without_content(number) | {
        "content_uri": chance.choice(names) + chance.choice(["", " ", "?", "#"])
    }


def _without_content(chance: random.Random, row: dict) -> dict:
    return row | {"content": chance.choice([None, "", " ", "\n\t", 5, 2.5, True, [], {"a": "b"}])}


def _malformed(chance: random.Random, row: dict) -> bytes:
    line = json.dumps(row).encode()
    cut = line[: chance.randrange(1, len(line) - 1)]
    return chance.choice([cut, line + b"}", b"[" + line + b"]", b"null", b"3", b'"x"', b"\xff\xfe"])


def _in_another_encoding(chance: random.Random, row: dict) -> bytes:
    text = "Größe und Länge"
    line = json.dumps(row | {"content": "MARK"}).encode()
    return line.replace(b"MARK", text.encode(chance.choice(["latin-1", "cp1252", "mac-roman"])))


TEXT_FAULTS: list[Callable] = [
    _without_a_column,
    _at_no_time,
    _with_a_hostile_uri,
    _without_content,
    _malformed,
    _in_another_encoding,
]


def _bad_image(chance: random.Random, number: int) -> bytes:
    kind = chance.choice(["JPEG", "PNG", "WEBP"])
    whole = saved(picture(number, (120, 90)), kind)
    return chance.choice(
        [
            whole[: chance.randrange(1, len(whole) * 2 // 3)],
            bytes(len(whole)),
            chance.randbytes(chance.randrange(1, 2000)),
            whole[::-1],
            b"\x89PNG\r\n\x1a\n" + chance.randbytes(200),
            b"\xff\xd8\xff" + chance.randbytes(200),
            b"RIFF" + chance.randbytes(4) + b"WEBP" + chance.randbytes(100),
            png_that_claims(chance.randrange(10_001, 2**31), chance.randrange(10_001, 2**31)),
            saved(picture(number), chance.choice(["GIF", "TIFF", "BMP", "PPM"])),
            b"<svg xmlns='http://www.w3.org/2000/svg'/>",
            b"%PDF-1.7",
            b"",
        ]
    )


def _check(job: Job, done: object, good: set[str]) -> Counter:
    assert done.exit_code == 3, done.output[-2000:]
    assert {row["object_id"] for row in job.rows("embedding_events")} == good
    failures = Counter(row["reason"] for row in job.rows("encoding_failures"))
    assert failures.keys() <= REASONS.keys()
    assert f"{BAD} rows failed" in done.stdout
    # what is wrong is told by name, not as a failure of the program
    assert not failures.keys() & {"encoder_error", "vector_not_finite"}
    return failures


def test_generated_bad_texts_fail_by_name(job, tmp_path):
    chance = random.Random(1)
    (tmp_path / "folder").mkdir()
    lines = [json.dumps(record(n)).encode() for n in range(GOOD)]
    for number in range(BAD):
        bad = chance.choice(TEXT_FAULTS)(chance, record(1000 + number))
        lines.append(bad if isinstance(bad, bytes) else json.dumps(bad).encode())
    first, *others = lines
    chance.shuffle(others)
    source = tmp_path / "objects.jsonl"
    source.write_bytes(b"\n".join([first, *others]) + b"\n")
    failures = _check(job, job.run(source), {f"object-{n}" for n in range(GOOD)})
    assert len(failures) > 10, failures
    assert source.exists()


def test_generated_bad_images_fail_by_name(job, tmp_path):
    job.register_images()
    chance, folder = random.Random(3), tmp_path / "source"
    folder.mkdir()
    rows = []
    for number in range(GOOD + BAD):
        is_good = number < GOOD
        kind = ("PNG", "JPEG", "WEBP")[number % 3]
        content = saved(picture(number), kind) if is_good else _bad_image(chance, number)
        name = f"{number}.{kind.lower()}"
        Path(folder, name).write_bytes(content)
        rows.append(without_content(number, content_uri=name))
    chance.shuffle(rows)
    (folder / "objects.jsonl").write_text("\n".join(map(json.dumps, rows)))
    done = job.run(folder / "objects.jsonl", "--modality", "image")
    failures = _check(job, done, {f"object-{n}" for n in range(GOOD)})
    assert failures.keys() == {"image_unreadable", "image_too_large", "empty_content"}
    assert failures.total() == BAD
