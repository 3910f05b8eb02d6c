with source as (
    select * from {{ source('landing', 'erasure_requests') }}
),

typed as (
    select
        cast(event_id as string) as event_id,
        cast(scope as string) as scope,
        {{ without_outer_space('cast(subject_id as string)') }} as subject_id,
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
        -- a wrong landing time is no reason to leave somebody's request undone
        greatest(coalesce(landed_at, requested_at), requested_at) as known_at,
        case
            when event_id is null then 'missing_event_id'
            when scope is null or scope not in ('customer', 'object') then 'unknown_scope'
            when coalesce(subject_id, '') = '' then 'missing_subject_id'
            when requested_at is null then 'missing_requested_at'
        end as rejection_reason
    from typed
)

select * from judged
