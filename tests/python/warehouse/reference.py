"""What a snapshot holds, told a second time: in plain Python, from the raw events that were known at its moment.

The models keep histories and join them at `as_of`. Here nothing is kept: whatever was not known yet is
left out first, and the rest is read as somebody would who sat there at that moment.
"""

import hashlib
import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd
import pyarrow as pa

Row = dict
# of the others people decide
RATED_TASKS = ("negative_review", "review_tone")


@dataclass(frozen=True)
class Dataset:
    """A row of `datasets.csv`, with what its split policy says."""

    dataset_id: str
    task: str
    modality: str
    window_months: int
    label_horizon_hours: int
    absence_label: str | None
    # of each split the first bucket, the one after the last, and the newest days that it alone holds
    shares: dict[str, tuple[int, int, int | None]]


def candidates(
    events: dict[str, list[Row]], dataset: Dataset, as_of: datetime, salt: str
) -> pd.DataFrame:
    """Return every object that was known at a moment, with what was known of it and what keeps it out.

    One row per object_id of what `staged` let in; `split` is null where a rule keeps the object out.
    """
    known = {
        name: [row for row in rows if row["known_at"] < as_of] for name, rows in events.items()
    }
    newest: dict[str, Row] = {}
    order = ("known_at", "object_created_at", "object_version")
    for row in known["object_events"]:
        if row["modality"] != dataset.modality:
            continue
        held = newest.setdefault(row["object_id"], row)
        newest[row["object_id"]] = max(held, row, key=lambda r: [r[name] for name in order])
    ratings = _by(known["rating_events"], "object_id")
    decisions = _by((d for d in known["decision_events"] if d["task"] == dataset.task), "object_id")
    accounts = _by(known["account_events"], "customer_id")

    found = []
    for row in newest.values():
        due_at = row["object_created_at"] + timedelta(hours=dataset.label_horizon_hours)
        label, rule, selected_by, raw_event_count, label_known_at = _label(
            dataset,
            row["object_created_at"],
            due_at,
            ratings[row["object_id"]],
            decisions[row["object_id"]],
        )
        account = _last_word(accounts[row["customer_id"]], "occurred_at")
        status = account and ("closed" if account["event_type"] == "closed" else "open")
        window_start = pd.Timestamp(as_of) - pd.DateOffset(months=dataset.window_months)
        rules = {
            f"account_{status or 'unknown'}": status != "open",
            "older_than_window": row["object_created_at"] < window_start,
            "label_not_due": due_at > as_of,
            "no_label": label is None,
        }
        split, days = _side(dataset, row["customer_id"], salt)
        reserved = next((d for *_, d in dataset.shares.values() if d is not None), None)
        if reserved is not None:
            is_new = row["object_created_at"] >= as_of - timedelta(days=reserved)
            rules["older_than_its_split"] = days is not None and not is_new
            rules["newer_than_its_split"] = days is None and is_new
        found.append(
            {
                "object_id": row["object_id"],
                "object_version": row["object_version"],
                "split_group_id": row["customer_id"],
                "split": split,
                "label": label,
                "label_rule": rule,
                "selected_by": selected_by,
                "raw_event_count": raw_event_count,
                "label_known_at": label_known_at,
                "exclusion_reason": next((name for name, broken in rules.items() if broken), None),
                "content": row["content_mac"] and (row["content_mac_key_id"], row["content_mac"]),
                "created": (row["object_created_at"], row["object_id"]),
            }
        )
    first_copy: dict[tuple, Row] = {}
    for row in sorted(found, key=lambda r: r["created"]):
        is_usable = row["exclusion_reason"] is None and row["content"]
        if is_usable and first_copy.setdefault(row["content"], row) is not row:
            row["exclusion_reason"] = "duplicate_content"
    for row in found:
        row["split"] = None if row["exclusion_reason"] else row["split"]
    return pd.DataFrame(found).drop(columns=["content", "created"])


# what a row says, apart from when it landed: column by column, the type as the models write it
CONTENT = {
    "object_events": (
        *("object_id", "object_version", "customer_id", "modality", "content_mac"),
        *("content_mac_key_id", "content_length", "source_reference", "object_created_at"),
    ),
    "rating_events": ("event_id", "object_id", "rating", "rated_at"),
    "decision_events": ("event_id", "object_id", "task", "label", "selected_by", "decided_at"),
    "account_events": ("event_id", "customer_id", "event_type", "occurred_at"),
}


def staged(tables: dict[str, pa.Table], task_labels: dict[str, set[str]]) -> dict[str, list[Row]]:
    """Return what staging lets in: of each id the row that was known first, if it keeps every rule.

    Of an erased customer, and of an object that is erased or was ever theirs, nothing is let in.
    """
    asked = _by(tables["erasure_requests"].to_pylist(), "scope")
    customers, objects = ({row["subject_id"] for row in asked[s]} for s in ("customer", "object"))
    owners = tables["object_events"].select(["object_id", "customer_id"]).to_pylist()
    objects |= {row["object_id"] for row in owners if row["customer_id"] in customers}
    is_good: dict[str, Callable[[Row], bool]] = {
        "object_events": lambda row: row["customer_id"] is not None,
        "rating_events": lambda row: math.isfinite(row["rating"]),
        "decision_events": lambda row: (
            row["task"] in task_labels
            and row["label"] in task_labels[row["task"]] | {None}
            and row["selected_by"] in ("organic", "review_queue", "random_audit")
        ),
        "account_events": lambda row: row["event_type"] in ("opened", "closed", "reopened"),
    }
    found = {}
    for name, columns in CONTENT.items():
        rows = [
            row
            for row in tables[name].to_pylist()
            if row.get("object_id") not in objects and row.get("customer_id") not in customers
        ]
        for row in rows:
            happened = row[columns[-1]]
            row["known_at"] = row["landed_at"] or happened
            row["is_good"] = row["known_at"] >= happened
            if name == "decision_events":
                row["selected_by"] = row["selected_by"] or "organic"
        good = [row for row in rows if row["is_good"] and is_good[name](row)]
        key = columns[:2] if name == "object_events" else columns[:1]
        found[name] = _first(good, key, lambda r, c=columns: (r["known_at"], _hash(r, c)))
    # of two versions of one moment, known at one moment, the earlier name stays
    found["object_events"] = _first(
        found["object_events"],
        ("object_id", "known_at", "object_created_at"),
        lambda r: (len(r["object_version"]), r["object_version"]),
    )
    return found


def _first(rows: Iterable[Row], key: tuple[str, ...], order: Callable[[Row], tuple]) -> list[Row]:
    first: dict[tuple, Row] = {}
    for row in rows:
        name = tuple(row[column] for column in key)
        first[name] = min(first.setdefault(name, row), row, key=order)
    return list(first.values())


def _hash(row: Row, columns: tuple[str, ...]) -> str:
    texts = [_text(row[column]) for column in columns]
    told = "".join("-" if text is None else f"{len(text)}:{text}" for text in texts)
    return hashlib.md5(told.encode(), usedforsecurity=False).hexdigest()


def _text(value: object) -> str | None:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%S.%fZ}"
    if isinstance(value, float):
        return str(round(value * 1_000_000_000)) if abs(value) < 9e9 else None
    return None if value is None else str(value)


def _by(rows: Iterable[Row], column: str) -> dict[str, list[Row]]:
    groups = defaultdict(list)
    for row in rows:
        groups[row[column]].append(row)
    return groups


def _last_word(events: list[Row], happened: str) -> Row | None:
    """The event that counts: an old one that arrived late does not undo a newer one known already."""
    last = newest = None
    for event in sorted(events, key=lambda e: (e["known_at"], e[happened], e["event_id"])):
        if newest is None or event[happened] >= newest:
            last, newest = event, event[happened]
    return last


def _label(
    dataset: Dataset,
    created_at: datetime,
    due_at: datetime,
    ratings: list[Row],
    decisions: list[Row],
) -> tuple[str | None, str | None, str, int | None, datetime | None]:
    """The label, where it comes from, who selected the object, of how many ratings, and since when it was known."""
    decision = _last_word(decisions, "decided_at")
    if decision and decision["label"] is not None and decision["decided_at"] >= created_at:
        return decision["label"], "decision", decision["selected_by"], None, decision["known_at"]
    is_rated = dataset.task in RATED_TASKS
    counted = [r for r in ratings if is_rated and created_at <= r["rated_at"] < due_at]
    label = count = since = None
    for moment in sorted({rating["known_at"] for rating in counted}):
        so_far = [rating["rating"] for rating in counted if rating["known_at"] <= moment]
        implied = _verdict(dataset.task, so_far) if len(so_far) >= 10 else None
        if implied != label:
            label, count, since = implied, len(so_far), moment
    if label is not None:
        return label, f"{dataset.task}/1", "organic", count, since
    if dataset.absence_label is not None:
        return dataset.absence_label, "absence", "organic", None, due_at
    return None, None, "organic", None, None


def _verdict(task: str, ratings: list[float]) -> str:
    if 2 * sum(rating < 0 for rating in ratings) >= len(ratings):
        return "negative"
    if task == "negative_review":
        return "other"
    return "positive" if 2 * sum(rating > 0 for rating in ratings) >= len(ratings) else "neutral"


def _side(dataset: Dataset, group: str, salt: str) -> tuple[str, int | None]:
    """The split of a group, and the newest days that the split holds."""
    salted = hashlib.md5(f"{salt}|{group}".encode(), usedforsecurity=False)
    bucket = int(salted.hexdigest()[:15], 16) % 1000
    return next(
        (split, days)
        for split, (first, end, days) in dataset.shares.items()
        if first <= bucket < end
    )
