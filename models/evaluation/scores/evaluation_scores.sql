{# The query of keys stands once and is used twice: the linter takes its indentation for another depth. #}
-- noqa: disable=LT02
{{ config(
    materialized = 'incremental',
    full_refresh = false,
    cluster_by = ['model_id', 'evaluation_snapshot_id'],
) }}

{%- set unscored %}
    select queue.*
    from {{ ref('evaluation_queue') }} as queue
    {%- if is_incremental() %}
    where not exists (
        select 1
        from {{ this }} as scored
        where
            scored.model_id = queue.model_id
            and scored.evaluation_snapshot_id = queue.evaluation_snapshot_id
            and scored.object_id = queue.object_id
    )
    {%- endif %}
{%- endset -%}

with unscored as (
    {{ unscored | trim }}
),

-- vectors only of the partitions in which something is to be scored
embedding_events as (
    select * from {{ ref('stg_embedding_events') }}
    {%- if is_incremental() %}
    where {{ partitions_with(unscored, 'known_at') }}
    {%- endif %}
),

classifier_units as (
    select * from {{ ref('classifier_units') }}
),

-- an example of two snapshots is computed once
pairs as (
    select distinct
        model_id,
        event_id
    from unscored
),

vectors as (
    select
        pairs.model_id,
        pairs.event_id,
        embedding_events.embedding
    from pairs
    inner join embedding_events
        on pairs.event_id = embedding_events.event_id
),

probabilities_by_event as (
    {{ class_probabilities('vectors', 'classifier_units') | indent(4) }}
),

scores as (
    select
        unscored.model_id,
        unscored.evaluation_snapshot_id,
        unscored.object_id,
        unscored.object_version,
        unscored.split,
        unscored.event_id,
        probabilities_by_event.probabilities
    from unscored
    inner join probabilities_by_event
        on
            unscored.model_id = probabilities_by_event.model_id
            and unscored.event_id = probabilities_by_event.event_id
)

select * from scores
