{{ config(
    materialized = 'incremental',
    full_refresh = false,
    cluster_by = ['snapshot_id'],
) }}

with headers as (
    select * from {{ ref('dataset_headers') }}
),

examples as (
    select * from {{ ref('dataset_examples') }}
),

example_sums as (
    select
        snapshot_id,
        sum(row_fingerprint) as fingerprint
    from examples
    group by snapshot_id
),

-- after a killed build the events may have moved on: rows that do not add up to their header never enter
snapshots as (
    select
        examples.snapshot_id,
        examples.dataset_id,
        examples.object_id,
        examples.object_version,
        examples.split_group_id,
        examples.split,
        examples.label,
        examples.label_rule,
        examples.selected_by,
        examples.label_known_at
    from examples
    inner join example_sums
        on examples.snapshot_id = example_sums.snapshot_id
    inner join headers
        on
            example_sums.snapshot_id = headers.snapshot_id
            and example_sums.fingerprint = headers.fingerprint
)

select * from snapshots
{%- if is_incremental() %}
where not exists (
    select 1
    from {{ this }} as taken
    where taken.snapshot_id = snapshots.snapshot_id
)
{%- endif %}
