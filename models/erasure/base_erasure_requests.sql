with source as (
    select * from {{ source('landing', 'erasure_requests') }}
),

typed as (
    select
        cast(event_id as string) as event_id,
        cast(scope as string) as scope,
        cast(subject_id as string) as subject_id,
        landed_at is not null as has_landed_at,
        {{ cast_or_null('requested_at', 'timestamp') }} as requested_at,
        {{ cast_or_null('landed_at', 'timestamp') }} as landed_at
    from source
),

judged as (
    select
        *,
        event_id as record_id,
        {{ row_hash({
            'event_id': 'string', 'scope': 'string', 'subject_id': 'string',
            'requested_at': 'timestamp',
        }) }} as row_hash,
        coalesce(landed_at, requested_at) as known_at,
        case
            when event_id is null then 'missing_event_id'
            when scope is null or scope not in ('customer', 'object') then 'unknown_scope'
            when subject_id is null then 'missing_subject_id'
            when requested_at is null then 'missing_requested_at'
            when has_landed_at and landed_at is null then 'invalid_landed_at'
            when landed_at < requested_at then 'known_before_it_happened'
        end as rejection_reason
    from typed
)

select * from judged
