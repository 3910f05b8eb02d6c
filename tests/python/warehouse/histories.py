"""Event histories made by chance, from a seed: what two engines must understand alike.

Each history has ids of its own prefix, so that many fit into one store. Moments are drawn from the
boundaries of the rules more often than from between them: midnights, starts of weeks and months, a
leap day, the ends of windows and horizons, and a microsecond to either side.
"""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from encoder_job.identity import event_id
from encoder_job.landing.schemas import SCHEMAS

# of all tasks, so that some are of another one
LABELS = ("negative", "other", "neutral", "positive", "shirt", "other_top", None)
# a rating that no longer fits an integer when it is told to nine decimals
LARGE = 1e300
TICK = timedelta(microseconds=1)
DAY = timedelta(days=1)
PREFIXES = (
    "plain",
    "späße",
    "客户",
    "emoji😀",
    "quote'",
    'double"',
    "back\\slash",
    "per%cent",
    "sp ace",
)
Events = dict[str, list[dict]]


def histories(
    count: int, seed: int, as_of: datetime, fingerprint: str, days: int = 120
) -> dict[str, pa.Table]:
    """Return every landing table of some histories of so many days that end soon after a moment.

    Rows are in no order. Some come twice, late, too early, or say something else under one id.
    """
    chance = random.Random(seed)
    tables: Events = {table: [] for table in SCHEMAS}
    for number in range(count):
        _add_history(
            tables,
            f"{PREFIXES[number % len(PREFIXES)]}-{number}",
            chance,
            _moments(chance, as_of, days),
            fingerprint,
        )
    for table, rows in tables.items():
        rows += [_again(row, chance) for row in rows if chance.random() < 0.05]
        chance.shuffle(rows)
        tables[table] = pa.Table.from_pylist(rows, schema=SCHEMAS[table])
    return tables


def _add_history(
    tables: Events, prefix: str, chance: random.Random, moment: Callable, fingerprint: str
) -> None:
    customers = [f"{prefix}/c{n}" for n in range(chance.randint(1, 4))]
    contents = [f"{prefix}/m{n}" for n in range(6)] + [None]
    for customer in customers:
        _add_accounts(tables["account_events"], customer, chance, moment)
    for number in range(chance.randint(0, 8)):
        object_id = f"{prefix}/o{number}"
        modality = chance.choice(("text", "text", "text", "image"))
        for version in range(1, chance.choice((1, 1, 1, 2, 3)) + 1):
            created = moment()
            tables["object_events"].append(
                {
                    "object_id": object_id,
                    "object_version": str(version),
                    "customer_id": chance.choice([*customers * 4, f"{prefix}/unheard of"]),
                    "modality": modality,
                    "content_mac": chance.choice(contents),
                    "content_mac_key_id": "key",
                    "content_length": chance.randint(1, 500),
                    "source_reference": f"tickets://{object_id}",
                    "object_created_at": created,
                    "landed_at": _landed(chance, created, moment),
                }
            )
            _add_vector(
                tables["embedding_events"], object_id, str(version), created, chance, fingerprint
            )
            _add_ratings(
                tables["rating_events"],
                f"{object_id}/{version}",
                object_id,
                created,
                chance,
                moment,
            )
        _add_decisions(tables["decision_events"], object_id, created, chance, moment)
    if chance.random() < 0.2:
        scope, subject = chance.choice((("customer", customers[0]), ("object", f"{prefix}/o0")))
        tables["erasure_requests"].append(
            {"event_id": f"{prefix}/e", "scope": scope, "subject_id": subject}
            | {"requested_at": moment(), "landed_at": None}
        )


def _again(row: dict, chance: random.Random) -> dict:
    """A row a second time; half the time it says something else under the same id and times."""
    if "embedding" in row and chance.random() < 0.5:
        other = chance.choice(
            (row["embedding"][::-1], [-x for x in row["embedding"]], _vector(chance))
        )
        return row | {"embedding": other}
    # of two that are too large to be told apart either may stay
    if abs(row.get("rating", LARGE)) < LARGE and chance.random() < 0.5:
        return row | {"rating": -row["rating"]}
    return dict(row)


def _moments(chance: random.Random, as_of: datetime, days: int) -> Callable[[], datetime]:
    midnight = as_of.replace(hour=0, minute=0, second=0, microsecond=0)
    window = midnight.replace(
        month=(midnight.month - 4) % 12 + 1, year=midnight.year - (midnight.month < 4), day=1
    )
    boundaries = [
        as_of,
        as_of - DAY,
        midnight,
        midnight - timedelta(days=midnight.weekday()),
        window,
        midnight.replace(day=1),
    ]

    def moment() -> datetime:
        if chance.random() < 0.4:
            return chance.choice(boundaries) + chance.choice((-TICK, timedelta(0), TICK))
        return as_of - timedelta(seconds=chance.randint(-6 * 3600, days * 86400))

    return moment


def _landed(
    chance: random.Random, happened: datetime, moment: Callable[[], datetime]
) -> datetime | None:
    """Null, late, at once, or, rarely, before it happened."""
    kind = chance.random()
    if kind < 0.6:
        return None
    return happened + DAY * chance.randint(0, 9) if kind < 0.9 else moment()


def _add_accounts(rows: list[dict], customer: str, chance: random.Random, moment: Callable) -> None:
    if chance.random() < 0.9:
        opened = {"event_type": "opened", "occurred_at": datetime(2020, 1, 1, tzinfo=UTC)}
        rows.append(
            {"event_id": f"{customer}/a", "customer_id": customer, "landed_at": None} | opened
        )
    for number in range(chance.choice((0, 0, 1, 2, 3))):
        occurred = moment()
        rows.append(
            {
                "event_id": f"{customer}/a{number}",
                "customer_id": customer,
                "event_type": chance.choice(
                    ("closed", "reopened", "opened", "reopened", "forgotten")
                ),
                "occurred_at": occurred,
                "landed_at": _landed(chance, occurred, moment),
            }
        )


def _add_vector(
    rows: list[dict],
    object_id: str,
    version: str,
    created: datetime,
    chance: random.Random,
    fingerprint: str,
) -> None:
    if chance.random() < 0.2:
        return
    vector = _vector(chance)
    rows.append(
        {
            "event_id": event_id(object_id, version, fingerprint),
            "object_id": object_id,
            "object_version": version,
            "encoder_id": "minilm-l6-v2",
            "encoder_fingerprint": fingerprint,
            "runtime": "by chance",
            "job_run_id": "run",
            "embedding_dim": len(vector),
            "token_count": 3,
            "embedding_norm": 1.0,
            "is_truncated": False,
            "encoded_at": created,
            "landed_at": created + TICK * chance.randint(0, 9),
            "embedding": vector,
        }
    )


def _vector(chance: random.Random) -> list[float]:
    """A vector of length one, or, rarely, too long or with too few dimensions."""
    vector = np.random.default_rng(chance.randrange(2**32)).normal(size=384)
    vector = (vector / np.linalg.norm(vector)).astype(np.float32)
    if chance.random() < 0.1:
        vector = vector * 2 if chance.random() < 0.5 else vector[:7]
    return vector.tolist()


def _add_ratings(
    rows: list[dict],
    prefix: str,
    object_id: str,
    created: datetime,
    chance: random.Random,
    moment: Callable,
) -> None:
    ratings = (-2.0, -1.0, 0.0, 1.0, 2.0, *[chance.choice((-1.0, 0.0, 1.0))] * 4)
    for number in range(chance.choice((0, 9, 10, 13, 16, 20))):
        boundary = chance.choice((timedelta(0), -TICK, DAY, DAY - TICK))
        between = timedelta(seconds=chance.randint(0, 86000))
        rated = created + (boundary if chance.random() < 0.2 else between)
        # an id may say two things: the one known first counts
        position = number if chance.random() < 0.95 else 0
        rows.append(
            {
                "event_id": f"{prefix}/r{position}",
                "object_id": object_id,
                "rating": chance.choice((float("nan"), LARGE))
                if chance.random() < 0.03
                else chance.choice(ratings),
                "rated_at": rated,
                "landed_at": _landed(chance, rated, moment),
            }
        )


def _add_decisions(
    rows: list[dict],
    object_id: str,
    created: datetime,
    chance: random.Random,
    moment: Callable,
) -> None:
    for number in range(chance.choice((0, 0, 0, 1, 2, 3))):
        decided = chance.choice((moment(), moment(), created, created - TICK))
        task = chance.choice(("negative_review", "review_tone", "shirt", "unheard of"))
        rows.append(
            {
                "event_id": f"{object_id}/d{number}",
                "object_id": object_id,
                "task": task,
                "label": chance.choice(LABELS),
                "selected_by": chance.choice(
                    (None, "organic", "review_queue", "random_audit", "me")
                ),
                "decided_at": decided,
                "landed_at": _landed(chance, decided, moment),
            }
        )
