-- Scores, of either scorer, that are no distribution over the classes of their model: a sum off
-- one, a probability below zero, a NaN, or another number of probabilities than classes.
with classifier_models as (
    select * from {{ ref('classifier_models') }}
),

scores as (
    select
        model_id,
        event_id,
        evaluation_snapshot_id as scored_for,
        probabilities
    from {{ ref('evaluation_scores') }}
    union all
    select
        model_id,
        event_id,
        'predictions' as scored_for,
        probabilities
    from {{ ref('prediction_scores') }}
),

by_class as (
    select
        scores.model_id,
        scores.event_id,
        scores.scored_for,
        {{ vector_length('scores.probabilities') }} as probability_count,
        {{ vector_length('classifier_models.classes') }} as class_count,
        {{ array_item('scores.probabilities', 'class_position') }} as probability
    from scores
    inner join classifier_models
        on scores.model_id = classifier_models.model_id
    cross join {{ each_position('classifier_models.classes', as_column = 'class_position') }}
),

-- "not" around the whole, and null as false: a NaN or a null satisfies no comparison
broken as (
    select
        model_id,
        event_id,
        scored_for
    from by_class
    group by model_id, event_id, scored_for
    having
        not coalesce(
            min(probability_count) = min(class_count)
            and max(probability_count) = max(class_count)
            and min(probability) >= 0
            and abs(sum(probability) - 1) <= 0.000001,
            false
        )
)

select * from broken
