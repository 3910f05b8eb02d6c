{{ config(materialized = 'view') }}

with measured as (
    select * from {{ ref('measured_embedding_events') }}
),

encoders as (
    select * from {{ ref('registered_encoders') }}
),

-- by the registry of today: a row that is corrected there is judged anew, without its vector
judged as (
    select
        measured.landed_row_id,
        measured.event_id,
        measured.object_id,
        measured.object_version,
        measured.encoder_fingerprint,
        measured.record_id,
        measured.row_hash,
        case
            when measured.event_id is null then 'missing_event_id'
            when measured.object_id is null then 'missing_object_id'
            when encoders.encoder_id is null then 'unregistered_encoder'
            when measured.encoded_at is null then 'missing_encoded_at'
            when measured.has_landed_at and measured.landed_at is null then 'invalid_landed_at'
            when measured.landed_at < measured.encoded_at then 'known_before_it_happened'
            when measured.embedding_dim is null or measured.embedding_dim <> encoders.embedding_dim then 'wrong_dimension'
            when measured.embedding_norm is null or not {{ is_finite('measured.embedding_norm') }} then 'not_finite'
            when encoders.is_unit_norm and abs(measured.embedding_norm - 1) > {{ var('unit_norm_tolerance') }}
                then 'not_unit_norm'
        end as rejection_reason,
        measured.embedding_dim,
        measured.embedding_norm,
        measured.landed_at,
        measured.known_at
    from measured
    left join encoders
        on
            measured.encoder_id = encoders.encoder_id
            and measured.encoder_fingerprint = encoders.encoder_fingerprint
)

select * from judged
