{# How each prediction came about, by ids alone: its model, the frozen rows and rules that the model learned from, its vector, and
   where an authorised person opens the object. Left joins: what is lost shows as null, and the tests on the columns say so. #}
with predictions as (
    select * from {{ ref('predictions') }}
),

classifier_models as (
    select * from {{ ref('classifier_models') }}
),

headers as (
    select * from {{ ref('dataset_headers') }}
),

snapshots as (
    select * from {{ ref('dataset_snapshots') }}
),

candidates as (
    select * from {{ ref('dataset_candidates') }}
),

-- of two decisions known at one moment only the last was ever in force
decided_labels as (
    select * from {{ ref('decided_labels') }}
    where valid_to is null or valid_to > valid_from
),

events as (
    select * from {{ ref('stg_embedding_events') }}
),

encoders as (
    select * from {{ ref('registered_encoders') }}
),

objects as (
    select * from {{ ref('stg_objects') }}
),

lineage as (
    select
        predictions.prediction_id,
        predictions.object_id,
        predictions.object_version,
        predictions.classifier_id,
        predictions.predicted_label,
        predictions.model_id,
        classifier_models.trainer_version,
        classifier_models.snapshot_id,
        headers.specification_text as snapshot_rules,
        predictions.training_split,
        snapshots.label as training_label,
        snapshots.label_rule as training_label_rule,
        decided_labels.event_id as training_decision_id,
        predictions.event_id,
        predictions.encoder_id,
        predictions.encoder_fingerprint,
        encoders.location as encoder_location,
        events.runtime as encoder_runtime,
        events.job_run_id,
        objects.source_reference,
        predictions.probability,
        candidates.raw_event_count as training_raw_event_count,
        objects.object_created_at,
        events.encoded_at,
        snapshots.label_known_at as training_label_known_at,
        headers.as_of as snapshot_as_of,
        classifier_models.trained_at,
        predictions.scored_at
    from predictions
    left join classifier_models
        on predictions.model_id = classifier_models.model_id
    left join headers
        on classifier_models.snapshot_id = headers.snapshot_id
    left join snapshots
        on
            headers.snapshot_id = snapshots.snapshot_id
            and predictions.object_id = snapshots.object_id
    left join candidates
        on
            snapshots.snapshot_id = candidates.snapshot_id
            and snapshots.object_id = candidates.object_id
    left join decided_labels
        on
            headers.task = decided_labels.task
            and snapshots.object_id = decided_labels.object_id
            and snapshots.label_known_at = decided_labels.valid_from
            and snapshots.label_rule = 'decision'
    left join events
        on predictions.event_id = events.event_id
    left join encoders
        on
            predictions.encoder_id = encoders.encoder_id
            and predictions.encoder_fingerprint = encoders.encoder_fingerprint
    left join objects
        on
            predictions.object_id = objects.object_id
            and predictions.object_version = objects.object_version
)

select * from lineage
