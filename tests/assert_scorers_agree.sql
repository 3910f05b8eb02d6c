-- Events that the scorer in SQL and the scorer in Python gave different probabilities, for the same
-- model: then the metrics are not those of the predictions.
{%- set tolerance = '0.00001' %}

with classifier_models as (
    select * from {{ ref('classifier_models') }}
),

evaluation_scores as (
    select * from {{ ref('evaluation_scores') }}
),

prediction_scores as (
    select * from {{ ref('prediction_scores') }}
),

paired as (
    select
        evaluation_scores.model_id,
        evaluation_scores.event_id,
        classifier_models.classes,
        evaluation_scores.probabilities as evaluated,
        prediction_scores.probabilities as predicted
    from evaluation_scores
    inner join prediction_scores
        on
            evaluation_scores.model_id = prediction_scores.model_id
            and evaluation_scores.event_id = prediction_scores.event_id
    inner join classifier_models
        on evaluation_scores.model_id = classifier_models.model_id
),

by_class as (
    select
        paired.model_id,
        paired.event_id,
        {{ array_item('paired.evaluated', 'class_position') }} as evaluated,
        {{ array_item('paired.predicted', 'class_position') }} as predicted
    from paired
    cross join {{ each_position('paired.classes', as_column = 'class_position') }}
)

-- a NaN or a null agrees with nothing
select * from by_class
where not coalesce(abs(evaluated - predicted) <= {{ tolerance }}, false)
