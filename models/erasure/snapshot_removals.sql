with removals as (
    select
        request_id,
        snapshot_id,
        split,
        row_count,
        fingerprint,
        recorded_at as removed_at
    from {{ ref('erasure_records') }}
    where table_name = 'dataset_snapshots' and row_count > 0
)

select * from removals
