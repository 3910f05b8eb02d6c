with predictions as (
    select * from {{ ref('predictions') }}
),

objects as (
    select * from {{ ref('stg_objects') }}
),

classifiers as (
    select * from {{ ref('classifiers') }}
    where state <> 'off'
),

champions as (
    select * from {{ ref('champions') }}
),

-- the newest version of the object, then what the champion says of it; what an earlier one said only while the champion is silent
latest as (
    select
        predictions.prediction_id,
        predictions.object_id,
        predictions.object_version,
        predictions.classifier_id,
        predictions.model_id,
        predictions.event_id,
        predictions.encoder_id,
        predictions.encoder_fingerprint,
        predictions.predicted_label,
        predictions.probability,
        predictions.is_uncertain,
        predictions.probabilities,
        classifiers.state as deployment_state,
        predictions.training_split,
        predictions.scored_at
    from predictions
    inner join classifiers
        on predictions.classifier_id = classifiers.classifier_id
    left join champions
        on
            predictions.classifier_id = champions.classifier_id
            and predictions.model_id = champions.model_id
    left join objects
        on
            predictions.object_id = objects.object_id
            and predictions.object_version = objects.object_version
    qualify row_number() over (
        partition by predictions.object_id, predictions.classifier_id
        order by
            coalesce(objects.known_at, cast('0001-01-01' as timestamp)) desc,
            coalesce(objects.object_created_at, cast('0001-01-01' as timestamp)) desc,
            predictions.object_version desc,
            case when champions.model_id is not null then 1 else 2 end asc,
            predictions.scored_at desc,
            predictions.prediction_id asc
    ) = 1
)

select * from latest
