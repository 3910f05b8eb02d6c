{# In which part of each registered slice the test examples lie that models are judged on now. Another slice is another line of
   `slices`, what it measures, and its name in the registry. #}
{%- set slices = {
    'customer_tenure': range_name('tenure_days', [30, 90, 365, 1095]),
    'object_age': range_name('age_days', [7, 30, 60, 90, 180]),
    'content_length': range_name('content_length', [32, 64, 128, 256, 512, 1024, 4096, 16384, 65536, 262144, 1048576]),
} %}

with current_snapshots as (
    select * from {{ ref('current_snapshots') }}
),

snapshots as (
    select * from {{ ref('dataset_snapshots') }}
    where split = 'test'
),

registered_slices as (
    select * from {{ ref('slices') }}
),

objects as (
    select * from {{ ref('stg_objects') }}
),

-- as far as the store knew then
first_account_events as (
    select
        current_snapshots.snapshot_id,
        account_events.customer_id,
        min(account_events.occurred_at) as occurred_at
    from {{ ref('stg_account_events') }} as account_events
    inner join current_snapshots
        on account_events.known_at < current_snapshots.as_of
    group by current_snapshots.snapshot_id, account_events.customer_id
),

measured as (
    select
        snapshots.dataset_id,
        snapshots.snapshot_id,
        snapshots.object_id,
        objects.content_length,
        {{ days_between('objects.object_created_at', 'current_snapshots.as_of') }} as age_days,
        case
            when first_account_events.occurred_at <= objects.object_created_at
                then {{ days_between('first_account_events.occurred_at', 'objects.object_created_at') }}
        end as tenure_days
    from snapshots
    inner join current_snapshots
        on snapshots.snapshot_id = current_snapshots.snapshot_id
    inner join objects
        on
            snapshots.object_id = objects.object_id
            and snapshots.object_version = objects.object_version
    left join first_account_events
        on
            snapshots.snapshot_id = first_account_events.snapshot_id
            and snapshots.split_group_id = first_account_events.customer_id
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
