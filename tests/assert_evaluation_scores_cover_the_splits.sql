-- Validation and test examples of a model's own snapshot that have a vector, but not exactly one
-- score of the model: a metric over half of the rows looks like any other metric.
with classifier_models as (
    select * from {{ ref('classifier_models') }}
),

snapshots as (
    select * from {{ ref('dataset_snapshots') }}
),

embedding_events as (
    select * from {{ ref('stg_embedding_events') }}
),

scores as (
    select * from {{ ref('evaluation_scores') }}
),

expected as (
    select
        classifier_models.model_id,
        snapshots.snapshot_id,
        snapshots.object_id,
        snapshots.split,
        embedding_events.event_id
    from classifier_models
    inner join snapshots
        on
            classifier_models.snapshot_id = snapshots.snapshot_id
            and snapshots.split in ('validation', 'test')
    inner join embedding_events
        on
            snapshots.object_id = embedding_events.object_id
            and snapshots.object_version = embedding_events.object_version
            and classifier_models.encoder_fingerprint = embedding_events.encoder_fingerprint
),

counted as (
    select
        expected.model_id,
        expected.snapshot_id,
        expected.object_id,
        count(scores.event_id) as score_count
    from expected
    left join scores
        on
            expected.model_id = scores.model_id
            and expected.snapshot_id = scores.evaluation_snapshot_id
            and expected.object_id = scores.object_id
            and expected.split = scores.split
            and expected.event_id = scores.event_id
    group by expected.model_id, expected.snapshot_id, expected.object_id
)

select * from counted
where score_count <> 1
