{# The population of each dataset, and until when what happens to an object counts for its label. #}
with datasets as (
    select * from {{ ref('datasets') }}
),

objects as (
    select * from {{ ref('stg_objects') }}
),

observed as (
    select
        datasets.dataset_id,
        datasets.task,
        objects.object_id,
        objects.object_version,
        objects.customer_id,
        objects.content_mac,
        objects.content_mac_key_id,
        objects.object_created_at,
        objects.known_at,
        {{ add_hours('objects.object_created_at', 'datasets.label_horizon_hours') }} as label_due_at
    from datasets
    inner join objects
        on datasets.modality = objects.modality
)

select * from observed
