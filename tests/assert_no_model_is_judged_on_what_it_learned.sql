-- A test score of a model for a customer on whose objects it was trained or stopped: its metric would be too good.
with scores as (
    select * from {{ ref('evaluation_scores') }}
    where split = 'test'
),

classifier_models as (
    select * from {{ ref('classifier_models') }}
),

snapshots as (
    select * from {{ ref('dataset_snapshots') }}
),

learned_groups as (
    select distinct
        snapshot_id,
        split_group_id
    from snapshots
    where split <> 'test'
)

select
    scores.model_id,
    scores.object_id
from scores
inner join classifier_models
    on scores.model_id = classifier_models.model_id
inner join snapshots
    on
        scores.evaluation_snapshot_id = snapshots.snapshot_id
        and scores.object_id = snapshots.object_id
inner join learned_groups
    on
        classifier_models.snapshot_id = learned_groups.snapshot_id
        and snapshots.split_group_id = learned_groups.split_group_id
