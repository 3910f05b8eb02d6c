"""The demo's protected sources and business events: real contents and labels, synthetic times.

SYNTHETIC, since no source has any of it: every time, every rater's lateness, who owns an image,
and all account events. All are made from hashes of the ids, so that they are the same on every
machine, and the event ids say so (`real-rating-synthetic-time/...`, `synthetic/closed/...`).
"""
