{# The models that may answer for a classifier in use: of its registered dataset, encoder and positive label, so that after a
   change of one of them in the registry no older model does. #}
with classifiers as (
    select * from {{ ref('classifiers') }}
    where state in ('live', 'shadow')
),

encoders as (
    select * from {{ ref('encoders') }}
),

classifier_models as (
    select * from {{ ref('classifier_models') }}
),

training_queue as (
    select * from {{ ref('training_queue') }}
),

current_snapshots as (
    select * from {{ ref('current_snapshots') }}
),

models_of_erased_rows as (
    select * from {{ ref('models_of_erased_rows') }}
),

eligible as (
    select
        classifiers.classifier_id,
        classifiers.dataset_id,
        classifier_models.model_id,
        classifiers.encoder_id,
        encoders.encoder_fingerprint,
        classifiers.state as deployment_state,
        classifier_models.positive_label,
        -- a threshold above every probability: none reached what the registry asks for
        coalesce(classifier_models.decision_threshold > 1, false) as is_never_positive,
        current_snapshots.snapshot_id as current_snapshot_id,
        classifiers.gate_margin,
        classifiers.gate_largest_ece,
        training_queue.model_id is not null as is_wanted,
        models_of_erased_rows.requested_at as erasure_requested_at,
        row_number() over (
            partition by classifiers.classifier_id
            order by
                case when training_queue.model_id is not null then 1 else 2 end asc,
                classifier_models.snapshot_as_of desc,
                classifier_models.trained_at desc,
                classifier_models.model_id asc
        ) as preference
    from classifiers
    inner join encoders
        on classifiers.encoder_id = encoders.encoder_id
    inner join classifier_models
        on
            classifiers.classifier_id = classifier_models.classifier_id
            and classifiers.dataset_id = classifier_models.dataset_id
            and encoders.encoder_fingerprint = classifier_models.encoder_fingerprint
            and classifiers.positive_label is not distinct from classifier_models.positive_label
    left join current_snapshots
        on classifiers.dataset_id = current_snapshots.dataset_id
    -- a registry row that was changed and changed back calls for a model that is not the newest
    left join training_queue
        on classifier_models.model_id = training_queue.model_id
    left join models_of_erased_rows
        on classifier_models.model_id = models_of_erased_rows.model_id
)

select * from eligible
