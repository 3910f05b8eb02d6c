{# The rows of one split of every dataset's current snapshot, with the vectors of the encoders that its classifiers use.
   Usage: {{ dataset_door('train') }} as the whole of dataset_train.sql #}
{% macro dataset_door(split) -%}
with current_snapshots as (
    select * from {{ ref('current_snapshots') }}
),

snapshots as (
    select * from {{ ref('dataset_snapshots') }}
    where split = '{{ split }}' and {{ is_behind_a_door() }}
),

dataset_encoders as (
    select * from {{ ref('dataset_encoders') }}
),

events as (
    select * from {{ ref('stg_embedding_events') }}
),

examples as (
    select
        snapshots.dataset_id,
        snapshots.snapshot_id,
        snapshots.object_id,
        snapshots.object_version,
        snapshots.split_group_id,
        snapshots.label,
        snapshots.label_rule,
        snapshots.selected_by,
        events.event_id,
        events.encoder_id,
        events.encoder_fingerprint,
        snapshots.label_known_at,
        events.embedding
    from snapshots
    inner join current_snapshots
        on snapshots.snapshot_id = current_snapshots.snapshot_id
    inner join dataset_encoders
        on snapshots.dataset_id = dataset_encoders.dataset_id
    inner join events
        on
            snapshots.object_id = events.object_id
            and snapshots.object_version = events.object_version
            and dataset_encoders.encoder_fingerprint = events.encoder_fingerprint
)

select * from examples
{%- endmacro %}
