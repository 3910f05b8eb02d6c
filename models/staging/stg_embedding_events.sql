{{ config(materialized = 'incremental', full_refresh = false) }}

with events as (
    select * from {{ ref('base_embedding_events') }}
    where rejection_reason is null
),

first_known as (
    select
        event_id,
        object_id,
        object_version,
        encoder_id,
        encoder_fingerprint,
        runtime,
        job_run_id,
        record_id,
        row_hash,
        token_count,
        embedding_dim,
        embedding_norm,
        is_truncated,
        encoded_at,
        known_at,
        embedding
    from events
    {%- if is_incremental() %}
    where
        not exists (
            select 1
            from {{ this }} as staged
            where staged.event_id = events.event_id
        )
        and not exists (
            select 1
            from {{ this }} as staged
            where
                staged.object_id = events.object_id
                and staged.object_version = events.object_version
                and staged.encoder_fingerprint = events.encoder_fingerprint
        )
    {%- endif %}
    qualify row_number() over (
        partition by event_id
        order by known_at, row_hash
    ) = 1
),

-- another lander may have given the same vector another event_id
one_per_encoder as (
    select *
    from first_known
    qualify row_number() over (
        partition by object_id, object_version, encoder_fingerprint
        order by known_at, row_hash
    ) = 1
)

select * from one_per_encoder
