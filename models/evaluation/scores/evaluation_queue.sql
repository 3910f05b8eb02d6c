{# Each model on the validation and test rows of its own snapshot, and of its dataset's current one, so that an old and a
   new model can be compared on the same examples; scored or not: the scorer skips those it has. #}
with classifier_models as (
    select * from {{ ref('classifier_models') }}
),

current_snapshots as (
    select * from {{ ref('current_snapshots') }}
),

snapshots as (
    select * from {{ ref('dataset_snapshots') }}
),

embedding_events as (
    select * from {{ ref('stg_embedding_events') }}
),

objects as (
    select * from {{ ref('stg_objects') }}
),

evaluations as (
    select
        model_id,
        snapshot_id,
        encoder_fingerprint,
        snapshot_id as evaluation_snapshot_id
    from classifier_models
    -- distinct: a new model's own snapshot is the current one
    union distinct
    select
        classifier_models.model_id,
        classifier_models.snapshot_id,
        classifier_models.encoder_fingerprint,
        current_snapshots.snapshot_id as evaluation_snapshot_id
    from classifier_models
    inner join current_snapshots
        on classifier_models.dataset_id = current_snapshots.dataset_id
),

-- how close an example came to the learning of a model of its snapshot; validation and calibration only chose among
-- what training had made
contents as (
    select
        snapshots.snapshot_id,
        snapshots.object_id,
        snapshots.object_version,
        snapshots.split,
        snapshots.split_group_id,
        objects.content_mac_key_id || '/' || objects.content_mac as content,
        case
            when snapshots.split = 'train' then 2
            when snapshots.split in ('validation', 'calibration') then 1
            else 0
        end as closeness
    from snapshots
    left join objects
        on
            snapshots.object_id = objects.object_id
            and snapshots.object_version = objects.object_version
),
{%- for key in ['split_group_id', 'content'] %}

learned_by_{{ key }} as (
    select
        snapshot_id,
        {{ key }},
        max(closeness) as closeness
    from contents
    group by snapshot_id, {{ key }}
),
{%- endfor %}

-- model and vector meet on the fingerprint: two encoders of one name or dimension are two encoders
queued as (
    select
        evaluations.model_id,
        evaluations.evaluation_snapshot_id,
        contents.object_id,
        contents.object_version,
        contents.split,
        embedding_events.event_id,
        embedding_events.known_at
    from evaluations
    inner join contents
        on
            evaluations.evaluation_snapshot_id = contents.snapshot_id
            and contents.split in ('validation', 'test')
    inner join embedding_events
        on
            contents.object_id = embedding_events.object_id
            and contents.object_version = embedding_events.object_version
            and evaluations.encoder_fingerprint = embedding_events.encoder_fingerprint
    {%- for key in ['split_group_id', 'content'] %}
    left join learned_by_{{ key }}
        on
            evaluations.snapshot_id = learned_by_{{ key }}.snapshot_id
            and contents.{{ key }} = learned_by_{{ key }}.{{ key }}
    {%- endfor %}
    -- another snapshot can hold a customer on another side, or another customer's copy of a text: nobody is examined on
    -- what he learned from
    where
        coalesce(learned_by_split_group_id.closeness, 0) <= contents.closeness
        and coalesce(learned_by_content.closeness, 0) <= contents.closeness
)

select * from queued
