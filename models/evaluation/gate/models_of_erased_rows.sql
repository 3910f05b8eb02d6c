with removals as (
    select * from {{ ref('snapshot_removals') }}
    -- also what a model had picked of the validation split, which no model read: who is gone cannot be asked
    where split in ('train', 'validation')
),

requests as (
    select * from {{ ref('stg_erasure_requests') }}
),

classifier_models as (
    select * from {{ ref('classifier_models') }}
),

-- a model that the queue still asks for is not affected: its id covers the rows that are left, so of those that were removed
-- it had no vectors
training_queue as (
    select * from {{ ref('training_queue') }}
),

-- a model that was trained after the removal never saw the rows
found as (
    select
        classifier_models.model_id,
        classifier_models.classifier_id,
        classifier_models.snapshot_id,
        cast(sum(case when removals.split = 'train' then removals.row_count else 0 end) as int64) as erased_train_count,
        cast(sum(case when removals.split = 'validation' then removals.row_count else 0 end) as int64) as erased_validation_count,
        -- a request that has left landing, or is dated ahead, is counted from its removal
        min(least(coalesce(requests.requested_at, removals.removed_at), removals.removed_at)) as requested_at
    from classifier_models
    inner join removals
        on
            classifier_models.snapshot_id = removals.snapshot_id
            and classifier_models.trained_at < removals.removed_at
    left join requests
        on removals.request_id = requests.event_id
    left join training_queue
        on classifier_models.model_id = training_queue.model_id
    where training_queue.model_id is null
    group by classifier_models.model_id, classifier_models.classifier_id, classifier_models.snapshot_id
)

select * from found
