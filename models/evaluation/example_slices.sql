{# Another slice is another line here and in the registry. What a snapshot was judged by must be known at its `as_of`. #}
{%- set slices = {
    'customer_tenure': range_name('tenure_days', [30, 90, 365, 1095]),
    'object_age': range_name('age_days', [7, 30, 60, 90, 180]),
    'content_length': range_name('content_length', [32, 64, 128, 256, 512, 1024, 4096, 16384, 65536, 262144, 1048576]),
} %}

with snapshots as (
    select * from {{ ref('dataset_snapshots') }}
    where split in ('validation', 'test')
),

headers as (
    select * from {{ ref('dataset_headers') }}
),

registered_slices as (
    select * from {{ ref('slices') }}
),

objects as (
    select * from {{ ref('stg_objects') }}
),

first_statuses as (
    select
        customer_id,
        min(valid_from) as opened_at
    from {{ ref('account_statuses') }}
    group by customer_id
),

measured as (
    select
        snapshots.dataset_id,
        snapshots.snapshot_id,
        snapshots.object_id,
        objects.content_length,
        {{ days_between('objects.object_created_at', 'headers.as_of') }} as age_days,
        {{ days_between('first_statuses.opened_at', 'objects.object_created_at') }} as tenure_days
    from snapshots
    inner join headers
        on snapshots.snapshot_id = headers.snapshot_id
    inner join objects
        on
            snapshots.object_id = objects.object_id
            and snapshots.object_version = objects.object_version
    left join first_statuses
        on snapshots.split_group_id = first_statuses.customer_id
),

sliced as (
    {%- for slice, value in slices.items() %}
    select
        dataset_id,
        snapshot_id,
        object_id,
        '{{ slice }}' as slice,
        {{ value }} as slice_value
    from measured
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
),

registered as (
    select
        sliced.snapshot_id,
        sliced.object_id,
        sliced.slice,
        sliced.slice_value
    from sliced
    inner join registered_slices
        on
            sliced.dataset_id = registered_slices.dataset_id
            and sliced.slice = registered_slices.slice
)

select * from registered
