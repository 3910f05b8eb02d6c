{# How far each encoder is: what a backfill still has to do. #}
with encoders as (
    select * from {{ ref('encoders') }}
    where state <> 'retired'
),

-- what is there now: an object in its newest version
objects as (
    select
        object_id,
        object_version,
        modality,
        object_created_at
    from {{ ref('stg_objects') }}
    qualify row_number() over (
        partition by object_id
        order by known_at desc, object_created_at desc, object_version desc
    ) = 1
),

events as (
    select * from {{ ref('stg_embedding_events') }}
),

counted as (
    select
        encoders.encoder_id,
        encoders.encoder_fingerprint,
        encoders.modality,
        encoders.state,
        count(objects.object_id) as object_count,
        count(events.event_id) as vector_count,
        max(case when events.event_id is null then objects.object_created_at end) as newest_missing_created_at
    from encoders
    left join objects
        on encoders.modality = objects.modality
    left join events
        on
            objects.object_id = events.object_id
            and objects.object_version = events.object_version
            and encoders.encoder_fingerprint = events.encoder_fingerprint
    group by encoders.encoder_id, encoders.encoder_fingerprint, encoders.modality, encoders.state
),

shares as (
    select
        encoder_id,
        encoder_fingerprint,
        modality,
        state,
        object_count,
        vector_count,
        case when object_count > 0 then vector_count / object_count end as coverage,
        newest_missing_created_at
    from counted
)

select * from shares
