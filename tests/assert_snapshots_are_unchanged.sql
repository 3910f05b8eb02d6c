-- A frozen snapshot whose rows, or the candidates that they were chosen from, no longer add up, with those that erasure removed,
-- to what its header recorded: changed, lost, or added later. A header without its rows is the same failure; one that a killed
-- build left is completed by the next.
with headers as (
    select * from {{ ref('dataset_headers') }}
),

recorded as (
    select
        'dataset_snapshots' as table_name,
        snapshot_id,
        example_count as row_count,
        fingerprint
    from headers
    union all
    select
        'dataset_candidates' as table_name,
        snapshot_id,
        candidate_count as row_count,
        candidate_fingerprint as fingerprint
    from headers
    where candidate_fingerprint is not null
),

sums as (
    {%- for table, columns in frozen_columns().items() %}
    select
        '{{ table }}' as table_name,
        snapshot_id,
        count(*) as row_count,
        sum({{ row_fingerprint(columns) }}) as fingerprint
    from {{ ref(table) }}
    group by snapshot_id
    union all
    {%- endfor %}
    select
        table_name,
        snapshot_id,
        row_count,
        fingerprint
    from {{ ref('erasure_records') }}
    where snapshot_id is not null and fingerprint is not null
),

sums_now as (
    select
        table_name,
        snapshot_id,
        sum(row_count) as row_count,
        sum(fingerprint) as fingerprint
    from sums
    group by table_name, snapshot_id
)

select
    recorded.table_name,
    recorded.snapshot_id
from recorded
left join sums_now
    on
        recorded.table_name = sums_now.table_name
        and recorded.snapshot_id = sums_now.snapshot_id
where
    coalesce(sums_now.fingerprint, 0) <> recorded.fingerprint
    or coalesce(sums_now.row_count, 0) <> recorded.row_count
