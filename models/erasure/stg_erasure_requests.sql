with events as (
    select * from {{ ref('base_erasure_requests') }}
    where rejection_reason is null
),

first_known as (
    select
        event_id,
        scope,
        subject_id,
        record_id,
        row_hash,
        requested_at,
        known_at
    from events
    qualify row_number() over (
        partition by event_id
        order by known_at, row_hash
    ) = 1
)

select * from first_known
