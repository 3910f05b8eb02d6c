{%- set vector = cast_or_null('embedding', vector_type()) -%}

with source as (
    select * from {{ source('landing', 'embedding_events') }}
),

encoders as (
    select * from {{ ref('encoders') }}
),

typed as (
    select
        cast(event_id as string) as event_id,
        cast(object_id as string) as object_id,
        coalesce(cast(object_version as string), '1') as object_version,
        cast(encoder_id as string) as encoder_id,
        cast(encoder_fingerprint as string) as encoder_fingerprint,
        cast(runtime as string) as runtime,
        cast(job_run_id as string) as job_run_id,
        {{ cast_or_null('token_count', 'int64') }} as token_count,
        {{ vector_length(vector) }} as embedding_dim,
        {{ vector_norm(vector) }} as embedding_norm,
        {{ cast_or_null('is_truncated', 'boolean') }} as is_truncated,
        landed_at is not null as has_landed_at,
        {{ cast_or_null('encoded_at', 'timestamp') }} as encoded_at,
        {{ partition_timestamp('landed_at') }} as landed_at,
        {{ vector }} as embedding
    from source
),

judged as (
    select
        typed.*,
        typed.event_id as record_id,
        -- the vector and its times are left out: encoding again is no conflict, encoding something else is
        {{ row_hash({
            'typed.event_id': 'string', 'typed.object_id': 'string', 'typed.object_version': 'string',
            'typed.encoder_id': 'string', 'typed.encoder_fingerprint': 'string',
        }) }} as row_hash,
        coalesce(typed.landed_at, typed.encoded_at) as known_at,
        case
            when typed.event_id is null then 'missing_event_id'
            when typed.object_id is null then 'missing_object_id'
            when encoders.encoder_id is null then 'unregistered_encoder'
            when typed.encoded_at is null then 'missing_encoded_at'
            when typed.has_landed_at and typed.landed_at is null then 'invalid_landed_at'
            when typed.landed_at < typed.encoded_at then 'known_before_it_happened'
            when typed.embedding_dim is null or typed.embedding_dim <> encoders.embedding_dim then 'wrong_dimension'
            when typed.embedding_norm is null or not {{ is_finite('typed.embedding_norm') }} then 'not_finite'
            when encoders.is_unit_norm and abs(typed.embedding_norm - 1) > 0.001 then 'not_unit_norm'
        end as rejection_reason
    from typed
    left join encoders
        on
            typed.encoder_id = encoders.encoder_id
            and typed.encoder_fingerprint = encoders.encoder_fingerprint
)

select * from judged
