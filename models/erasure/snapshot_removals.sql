with removals as (
    select
        request_id,
        snapshot_id,
        split,
        cast(sum(row_count) as int64) as row_count,
        cast(sum(fingerprint) as {{ sum_type() }}) as fingerprint,
        max(recorded_at) as removed_at
    from {{ ref('erasure_records') }}
    where table_name = 'dataset_snapshots' and row_count > 0
    group by request_id, snapshot_id, split
)

select * from removals
