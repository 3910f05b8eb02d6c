-- A row of a current snapshot with a vector that may stand behind a door, and does behind none, two, or the wrong one.
with doors as (
    {%- for split in ['train', 'validation', 'test'] %}
    select
        '{{ split }}' as split,
        snapshot_id,
        object_id,
        encoder_fingerprint
    from {{ ref('dataset_' ~ split) }}
    {{- " union all" if not loop.last }}
    {%- endfor %}
),

snapshots as (
    select * from {{ ref('dataset_snapshots') }}
),

counted as (
    select
        doors.snapshot_id,
        doors.encoder_fingerprint,
        count(*) as row_count,
        sum(case when snapshots.object_id is null then 1 else 0 end) as stray_count
    from doors
    left join snapshots
        on
            doors.snapshot_id = snapshots.snapshot_id
            and doors.object_id = snapshots.object_id
            and doors.split = snapshots.split
    group by doors.snapshot_id, doors.encoder_fingerprint
),

coverage as (
    select * from {{ ref('dataset_coverage') }}
)

select coverage.snapshot_id
from coverage
left join counted
    on
        coverage.snapshot_id = counted.snapshot_id
        and coverage.encoder_fingerprint = counted.encoder_fingerprint
where
    coalesce(counted.row_count, 0) <> coverage.vector_count
    or counted.stray_count > 0
