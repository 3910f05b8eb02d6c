{# The query of keys stands once and is used twice: the linter takes its indentation for another depth. #}
-- noqa: disable=LT02
{{ config(
    partition_by = day_partitions('scored_at'),
    cluster_by = ['classifier_id', 'model_id'],
) }}

{#- The scorer without Python: the same rows as `prediction_scores.py` gives, within 1e-5, by SQL of constant size. -#}
{%- set rescore_from = requested_moment('rescore_from') -%}

{%- set unscored %}
    select
        queue.classifier_id,
        queue.model_id,
        queue.event_id,
        queue.landed_at
    from {{ ref('prediction_queue') }} as queue
    {%- if is_incremental() %}
    -- what any model of the classifier has scored counts as scored: a new champion scores what is new
    where
        not exists (
            select 1
            from {{ this }} as scores
            where
                scores.classifier_id = queue.classifier_id
                and scores.event_id = queue.event_id
                {%- if rescore_from %}
                and (queue.landed_at < {{ rescore_from }} or scores.model_id = queue.model_id)
                {%- endif %}
        )
    {%- endif %}
{%- endset -%}

with unscored as (
    {{ unscored | trim }}
),

-- vectors only of the partitions in which something is to be scored
queue as (
    select * from {{ ref('prediction_queue') }}
    {%- if is_incremental() %}
    where {{ partitions_with(unscored, 'landed_at') }}
    {%- endif %}
),

vectors as (
    select queue.*
    from queue
    inner join unscored
        on
            queue.classifier_id = unscored.classifier_id
            and queue.model_id = unscored.model_id
            and queue.event_id = unscored.event_id
),

classifier_units as (
    select * from {{ ref('classifier_units') }}
),

probabilities_by_event as (
    {{ class_probabilities('vectors', 'classifier_units') | indent(4) }}
),

scores as (
    select
        vectors.prediction_id,
        vectors.classifier_id,
        vectors.model_id,
        vectors.event_id,
        vectors.deployment_state,
        probabilities_by_event.probabilities,
        {{ utc_now() }} as scored_at
    from vectors
    inner join probabilities_by_event
        on
            vectors.model_id = probabilities_by_event.model_id
            and vectors.event_id = probabilities_by_event.event_id
)

select * from scores
