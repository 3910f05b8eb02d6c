with events as (
    select * from {{ ref('base_promotion_events') }}
    where rejection_reason is null
),

first_known as (
    select
        event_id as promotion_id,
        classifier_id,
        model_id,
        decided_by,
        reason,
        record_id,
        row_hash,
        decided_at,
        known_at
    from events
    qualify row_number() over (
        partition by event_id
        order by known_at, row_hash
    ) = 1
)

select * from first_known
