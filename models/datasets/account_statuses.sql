with account_events as (
    select * from {{ ref('stg_account_events') }}
),

compared as (
    select
        *,
        max(occurred_at) over (
            partition by customer_id
            order by known_at, occurred_at, event_id
            rows between unbounded preceding and 1 preceding
        ) as newest_known_before
    from account_events
),

-- an old event that arrives late does not undo a newer one that was known already
statuses as (
    select
        customer_id,
        event_id,
        case event_type when 'closed' then 'closed' else 'open' end as status,
        known_at as valid_from,
        lead(known_at) over (
            partition by customer_id
            order by known_at, occurred_at, event_id
        ) as valid_to
    from compared
    where newest_known_before is null or occurred_at >= newest_known_before
)

select * from statuses
