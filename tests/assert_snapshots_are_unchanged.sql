-- A frozen snapshot whose rows, with those that erasure removed, no longer add up to what its header recorded: changed, lost, or
-- added later. A header without its rows is the same failure; one that a killed build left is completed by the next.
with headers as (
    select * from {{ ref('dataset_headers') }}
),

sums as (
    select
        snapshot_id,
        count(*) as example_count,
        sum({{ row_fingerprint(snapshot_columns()) }}) as fingerprint
    from {{ ref('dataset_snapshots') }}
    group by snapshot_id
    union all
    select
        snapshot_id,
        row_count as example_count,
        fingerprint
    from {{ ref('erasure_records') }}
    where table_name = 'dataset_snapshots' and snapshot_id is not null
),

sums_now as (
    select
        snapshot_id,
        sum(example_count) as example_count,
        sum(fingerprint) as fingerprint
    from sums
    group by snapshot_id
)

select headers.snapshot_id
from headers
left join sums_now
    on headers.snapshot_id = sums_now.snapshot_id
where
    coalesce(sums_now.fingerprint, 0) <> headers.fingerprint
    or coalesce(sums_now.example_count, 0) <> headers.example_count
