{# What people decided, for every task. A null label withdraws the decision before it. #}
with decisions as (
    select * from {{ ref('stg_decision_events') }}
),

compared as (
    select
        *,
        max(decided_at) over (
            partition by task, object_id
            order by known_at, decided_at, event_id
            rows between unbounded preceding and 1 preceding
        ) as newest_known_before
    from decisions
),

-- an old decision that arrives late does not undo a newer one that was known already
decided as (
    select
        task,
        object_id,
        event_id,
        label,
        selected_by,
        decided_at,
        known_at as valid_from,
        lead(known_at) over (
            partition by task, object_id
            order by known_at, decided_at, event_id
        ) as valid_to
    from compared
    where newest_known_before is null or decided_at >= newest_known_before
)

select * from decided
