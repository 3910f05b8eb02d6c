-- The same content on two sides of a split: a near copy of the answer sheet in the classroom.
with snapshots as (
    select * from {{ ref('dataset_snapshots') }}
),

objects as (
    select * from {{ ref('stg_objects') }}
)

select
    snapshots.snapshot_id,
    objects.content_mac_key_id,
    objects.content_mac
from snapshots
inner join objects
    on
        snapshots.object_id = objects.object_id
        and snapshots.object_version = objects.object_version
where objects.content_mac is not null
group by snapshots.snapshot_id, objects.content_mac_key_id, objects.content_mac
having count(distinct snapshots.split) > 1
