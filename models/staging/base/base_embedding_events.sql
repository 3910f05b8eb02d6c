{%- set vector = cast_or_null('embedding', vector_type()) -%}

with source as (
    select * from {{ source('landing', 'embedding_events') }}
    where {{ not_erased('object', 'object_id') }}
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

identified as (
    select
        *,
        event_id as record_id,
        -- the vector and its times are left out: encoding again is no conflict, encoding something else is
        {{ row_hash({
            'event_id': 'string', 'object_id': 'string', 'object_version': 'string', 'encoder_id': 'string',
            'encoder_fingerprint': 'string',
        }) }} as row_hash,
        {{ row_hash({
            'event_id': 'string', 'object_id': 'string', 'object_version': 'string', 'encoder_id': 'string',
            'encoder_fingerprint': 'string', 'runtime': 'string', 'job_run_id': 'string', 'encoded_at': 'timestamp',
            'landed_at': 'timestamp',
        }) }} as landed_row_id,
        coalesce(landed_at, encoded_at) as known_at
    from typed
)

select * from identified
