{# The query stands once and is used twice: the linter takes its indentation for another depth. #}
-- noqa: disable=LT02
{{ config(
    materialized = 'incremental',
    full_refresh = false,
    partition_by = day_partitions('scored_at'),
    cluster_by = ['classifier_id', 'object_id'],
) }}

{%- set unpublished %}
    select scores.*
    from {{ ref('prediction_scores') }} as scores
    {%- if is_incremental() %}
    where
        not exists (
            select 1
            from {{ this }} as predicted
            where predicted.prediction_id = scores.prediction_id
        )
    {%- endif %}
{%- endset -%}

with arrived as (
    {{ unpublished | trim }}
    {%- if is_incremental() %}
        and {{ partitions_with(unpublished, 'scored_at') }}
    {%- endif %}
),

classifier_models as (
    select * from {{ ref('classifier_models') }}
),

events as (
    select * from {{ ref('stg_embedding_events') }}
),

snapshots as (
    select * from {{ ref('dataset_snapshots') }}
),

predicted as (
    select
        arrived.prediction_id,
        events.object_id,
        events.object_version,
        arrived.classifier_id,
        arrived.model_id,
        arrived.event_id,
        events.encoder_id,
        events.encoder_fingerprint,
        {{ predicted_label(
            'classifier_models.classes', 'arrived.probabilities',
            'classifier_models.positive_label', 'classifier_models.decision_threshold'
        ) }} as predicted_label,
        classifier_models.classes,
        classifier_models.positive_label,
        classifier_models.decision_threshold,
        classifier_models.abstain_band,
        arrived.probabilities,
        arrived.deployment_state,
        snapshots.split as training_split,
        arrived.scored_at
    from arrived
    inner join classifier_models
        on arrived.model_id = classifier_models.model_id
    inner join events
        on
            arrived.event_id = events.event_id
            and classifier_models.encoder_fingerprint = events.encoder_fingerprint
    left join snapshots
        on
            classifier_models.snapshot_id = snapshots.snapshot_id
            and events.object_id = snapshots.object_id
),

predictions as (
    select
        prediction_id,
        object_id,
        object_version,
        classifier_id,
        model_id,
        event_id,
        encoder_id,
        encoder_fingerprint,
        predicted_label,
        {{ array_item('probabilities', array_position('classes', 'predicted_label')) }} as probability,
        {{ is_uncertain(
            array_item('probabilities', array_position('classes', 'positive_label')), 'decision_threshold', 'abstain_band'
        ) }} as is_uncertain,
        probabilities,
        deployment_state,
        training_split,
        scored_at
    from predicted
)

select * from predictions
