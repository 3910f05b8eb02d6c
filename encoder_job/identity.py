"""Ids and hashes: what makes a second run land nothing twice."""

import hashlib
import hmac
import json
import os

from encoder_job.errors import Refusal

KEY_VARIABLE = "EMBEDDING_STORE_CONTENT_KEY"
_SHORTEST_KEY = 16


def canonical_hash(value: object) -> str:
    """Hash any JSON value, independent of spaces and of the order of keys: 32 hex characters."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def event_id(object_id: str, object_version: str, encoder_fingerprint: str) -> str:
    """Return the id of the one vector that this encoder can have for this object."""
    return canonical_hash([object_id, object_version, encoder_fingerprint])


class ContentMac:
    """Keyed digests of contents: they find duplicates, and tell nothing without the key."""

    def __init__(self, key: str) -> None:
        self._key = key.encode()
        # derived from the key, so that a rotated key cannot keep its old name by mistake
        self.key_id = self.of(b"embedding-store: the id of this key")[:16]

    @classmethod
    def from_environment(cls) -> "ContentMac":
        """Take the key from the environment; refuse to go without one."""
        key = os.environ.get(KEY_VARIABLE, "")
        if len(key.encode()) < _SHORTEST_KEY:
            state = "is not set" if not key else f"has fewer than {_SHORTEST_KEY} bytes"
            raise Refusal(
                f"{KEY_VARIABLE} {state}: contents are recorded as keyed digests only; "
                "set it to a secret such as the output of `openssl rand -hex 32`, and keep it"
            )
        return cls(key)

    def of(self, content: bytes) -> str:
        """Return the HMAC-SHA256 of a content, as hex."""
        return hmac.new(self._key, content, hashlib.sha256).hexdigest()
