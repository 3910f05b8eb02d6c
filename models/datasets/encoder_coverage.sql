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

failures as (
    select distinct
        object_id,
        object_version,
        encoder_id
    from {{ ref('stg_encoding_failures') }}
),

-- nobody could read these, so that nothing of them is there but the failure
unread as (
    select
        failures.encoder_id,
        count(distinct failures.object_id) as object_count
    from failures
    left join objects
        on failures.object_id = objects.object_id
    where objects.object_id is null and failures.object_id is not null
    group by failures.encoder_id
),

counted as (
    select
        encoders.encoder_id,
        encoders.encoder_fingerprint,
        encoders.modality,
        encoders.state,
        count(objects.object_id) as object_count,
        count(events.event_id) as vector_count,
        count(case when events.event_id is null then failures.object_id end) as failed_count,
        max(
            case when events.event_id is null and failures.object_id is null then objects.object_created_at end
        ) as newest_missing_created_at
    from encoders
    left join objects
        on encoders.modality = objects.modality
    left join events
        on
            objects.object_id = events.object_id
            and objects.object_version = events.object_version
            and encoders.encoder_fingerprint = events.encoder_fingerprint
    left join failures
        on
            objects.object_id = failures.object_id
            and objects.object_version = failures.object_version
            and encoders.encoder_id = failures.encoder_id
    group by encoders.encoder_id, encoders.encoder_fingerprint, encoders.modality, encoders.state
),

completed as (
    select
        counted.encoder_id,
        counted.encoder_fingerprint,
        counted.modality,
        counted.state,
        counted.object_count + coalesce(unread.object_count, 0) as object_count,
        counted.vector_count,
        counted.failed_count + coalesce(unread.object_count, 0) as failed_count,
        counted.newest_missing_created_at
    from counted
    left join unread
        on counted.encoder_id = unread.encoder_id
),

shares as (
    select
        encoder_id,
        encoder_fingerprint,
        modality,
        state,
        object_count,
        vector_count,
        failed_count,
        case when object_count > 0 then vector_count / object_count end as coverage,
        newest_missing_created_at
    from completed
)

select * from shares
