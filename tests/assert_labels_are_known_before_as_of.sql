-- An example whose label the store learned of at the snapshot's moment or later: it saw the future.
with snapshots as (
    select * from {{ ref('dataset_snapshots') }}
),

headers as (
    select * from {{ ref('dataset_headers') }}
)

select
    snapshots.snapshot_id,
    snapshots.object_id
from snapshots
inner join headers
    on snapshots.snapshot_id = headers.snapshot_id
-- silence is known at the moment it ends, and `as_of` may be that moment
where
    snapshots.label_known_at > headers.as_of
    or (snapshots.label_known_at = headers.as_of and snapshots.label_rule <> 'absence')
