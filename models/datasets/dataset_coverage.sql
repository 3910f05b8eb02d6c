{# How many examples of the current snapshots have a vector. An object that could not be encoded is an example without one. #}
with current_snapshots as (
    select * from {{ ref('current_snapshots') }}
),

snapshots as (
    select * from {{ ref('dataset_snapshots') }}
    where {{ is_behind_a_door() }}
),

dataset_encoders as (
    select * from {{ ref('dataset_encoders') }}
),

events as (
    select * from {{ ref('stg_embedding_events') }}
),

counted as (
    select
        snapshots.snapshot_id,
        snapshots.dataset_id,
        dataset_encoders.encoder_id,
        dataset_encoders.encoder_fingerprint,
        dataset_encoders.is_live,
        count(*) as example_count,
        count(events.event_id) as vector_count
    from snapshots
    inner join current_snapshots
        on snapshots.snapshot_id = current_snapshots.snapshot_id
    inner join dataset_encoders
        on snapshots.dataset_id = dataset_encoders.dataset_id
    left join events
        on
            snapshots.object_id = events.object_id
            and snapshots.object_version = events.object_version
            and dataset_encoders.encoder_fingerprint = events.encoder_fingerprint
    group by
        snapshots.snapshot_id,
        snapshots.dataset_id,
        dataset_encoders.encoder_id,
        dataset_encoders.encoder_fingerprint,
        dataset_encoders.is_live
),

shares as (
    select
        snapshot_id,
        dataset_id,
        encoder_id,
        encoder_fingerprint,
        example_count,
        vector_count,
        vector_count / example_count as coverage,
        is_live
    from counted
)

select * from shares
