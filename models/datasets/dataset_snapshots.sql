{{ config(
    materialized = 'incremental',
    full_refresh = false,
    cluster_by = ['snapshot_id'],
) }}

with headers as (
    select * from {{ ref('dataset_headers') }}
    {%- if is_incremental() %}
    where snapshot_id not in (select snapshot_id from {{ this }})
    {%- endif %}
),

examples as (
    select examples.*
    from {{ ref('dataset_examples') }} as examples
    inner join headers
        on examples.snapshot_id = headers.snapshot_id
),

example_sums as (
    select
        snapshot_id,
        sum(row_fingerprint) as fingerprint
    from examples
    group by snapshot_id
),

-- also those of a header that a killed build left alone; rows that do not add up to their header never enter
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
