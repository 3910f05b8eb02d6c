-- A score of a model for a customer, or for a copy of a text, that it was trained on, or, on the test split, that told it when
-- to stop: its metric would be too good.
with scores as (
    select * from {{ ref('evaluation_scores') }}
),

classifier_models as (
    select * from {{ ref('classifier_models') }}
),

snapshots as (
    select * from {{ ref('dataset_snapshots') }}
),

objects as (
    select * from {{ ref('stg_objects') }}
),

contents as (
    select
        snapshots.snapshot_id,
        snapshots.object_id,
        snapshots.split,
        snapshots.split_group_id,
        objects.content_mac_key_id || '/' || objects.content_mac as content
    from snapshots
    left join objects
        on
            snapshots.object_id = objects.object_id
            and snapshots.object_version = objects.object_version
),

examined as (
    select
        scores.model_id,
        scores.object_id,
        scores.split,
        classifier_models.snapshot_id,
        contents.split_group_id,
        contents.content
    from scores
    inner join classifier_models
        on scores.model_id = classifier_models.model_id
    inner join contents
        on
            scores.evaluation_snapshot_id = contents.snapshot_id
            and scores.object_id = contents.object_id
)
{%- for key in ['split_group_id', 'content'] %}

select
    examined.model_id,
    examined.object_id
from examined
inner join contents
    on
        examined.snapshot_id = contents.snapshot_id
        and examined.{{ key }} = contents.{{ key }}
where contents.split = 'train' or (contents.split in ('validation', 'calibration') and examined.split = 'test')
{{- " union all" if not loop.last }}
{%- endfor %}
