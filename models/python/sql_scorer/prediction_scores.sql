{{ config(
    materialized = 'incremental',
    full_refresh = false,
    partition_by = day_partitions('scored_at'),
    cluster_by = ['classifier_id', 'model_id'],
) }}

{#- The scorer without Python: the same rows as `prediction_scores.py` gives, within 1e-5, by SQL of constant size. -#}
{%- set rescore_from = requested_moment('rescore_from') -%}

with queue as (
    select * from {{ ref('prediction_queue') }}
),

classifier_units as (
    select * from {{ ref('classifier_units') }}
),

{%- if is_incremental() %}

-- an event that any model of the same classifier has scored counts as scored: a new champion scores what is new
scored_by_classifier as (
    select distinct
        classifier_id,
        event_id
    from {{ this }}
),

scored_by_model as (
    select distinct
        model_id,
        event_id
    from {{ this }}
),

unscored as (
    select queue.*
    from queue
    left join scored_by_classifier
        on
            queue.classifier_id = scored_by_classifier.classifier_id
            and queue.event_id = scored_by_classifier.event_id
    left join scored_by_model
        on
            queue.model_id = scored_by_model.model_id
            and queue.event_id = scored_by_model.event_id
    where
        scored_by_classifier.event_id is null
        {%- if rescore_from %}
        or (queue.landed_at >= {{ rescore_from }} and scored_by_model.event_id is null)
        {%- endif %}
),
{%- else %}

unscored as (
    select * from queue
),
{%- endif %}

probabilities_by_event as (
    {{ class_probabilities('unscored', 'classifier_units') | indent(4) }}
),

scores as (
    select
        {{ dbt.hash("unscored.model_id || '/' || unscored.event_id") }} as prediction_id,
        unscored.classifier_id,
        unscored.model_id,
        unscored.event_id,
        unscored.deployment_state,
        probabilities_by_event.probabilities,
        {{ utc_now() }} as scored_at
    from unscored
    inner join probabilities_by_event
        on
            unscored.model_id = probabilities_by_event.model_id
            and unscored.event_id = probabilities_by_event.event_id
)

select * from scores
