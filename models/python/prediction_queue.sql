{# Every event that each live or shadow classifier may score, scored or not: the scorer skips those it has.
   Model and event meet on the fingerprint, never on the encoder's name or the dimension. #}
with champions as (
    select * from {{ ref('champions') }}
),

events as (
    select * from {{ ref('stg_embedding_events') }}
),

queued as (
    select
        {{ dbt.hash("champions.model_id || '/' || events.event_id") }} as prediction_id,
        champions.classifier_id,
        champions.model_id,
        events.event_id,
        champions.deployment_state,
        events.known_at as landed_at,
        events.embedding
    from champions
    inner join events
        on champions.encoder_fingerprint = events.encoder_fingerprint
)

select * from queued
