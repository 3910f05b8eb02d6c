{# Models that learned from rows which were erased afterwards: their weights may still carry them, so another model must answer by
   the time that the store has promised. A model that was trained after the removal is not here. #}
with removals as (
    select * from {{ ref('snapshot_removals') }}
    where split in ('train', 'validation')
),

requests as (
    select * from {{ ref('stg_erasure_requests') }}
),

classifier_models as (
    select * from {{ ref('classifier_models') }}
),

champions as (
    select * from {{ ref('champions') }}
),

affected as (
    select
        classifier_models.model_id,
        classifier_models.classifier_id,
        classifier_models.snapshot_id,
        cast(sum(case when removals.split = 'train' then removals.row_count else 0 end) as int64) as erased_train_count,
        cast(sum(case when removals.split = 'validation' then removals.row_count else 0 end) as int64) as erased_validation_count,
        -- whose request has left landing is counted from its removal
        min(coalesce(requests.requested_at, removals.removed_at)) as requested_at
    from classifier_models
    inner join removals
        on
            classifier_models.snapshot_id = removals.snapshot_id
            and classifier_models.trained_at < removals.removed_at
    left join requests
        on removals.request_id = requests.event_id
    group by classifier_models.model_id, classifier_models.classifier_id, classifier_models.snapshot_id
),

due as (
    select
        affected.model_id,
        affected.classifier_id,
        affected.snapshot_id,
        affected.erased_train_count,
        affected.erased_validation_count,
        champions.model_id is not null as is_answering,
        affected.requested_at,
        {{ add_hours('affected.requested_at', 24 * var('erasure_due_days')) }} as due_at
    from affected
    left join champions
        on affected.model_id = champions.model_id
)

select * from due
