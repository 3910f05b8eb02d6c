{# The model that answers for each classifier in use: the one that the registry and the current snapshot call for, and while
   that one cannot be trained, the newest. #}
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

-- only a model of the registered dataset and encoder: after a change in the registry the old model
-- must not answer
candidates as (
    select
        classifiers.classifier_id,
        classifiers.dataset_id,
        classifier_models.model_id,
        classifiers.encoder_id,
        encoders.encoder_fingerprint,
        classifiers.state as deployment_state,
        classifier_models.positive_label,
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
    -- a registry row that was changed and changed back calls for a model that is not the newest
    left join training_queue
        on classifier_models.model_id = training_queue.model_id
),

chosen as (
    select
        classifier_id,
        dataset_id,
        model_id,
        encoder_id,
        encoder_fingerprint,
        deployment_state,
        positive_label
    from candidates
    where preference = 1
)

select * from chosen
