with source as (
    select * from {{ source('landing', 'account_events') }}
    where {{ not_erased('customer', 'customer_id') }}
),

typed as (
    select
        cast(event_id as string) as event_id,
        cast(customer_id as string) as customer_id,
        cast(event_type as string) as event_type,
        landed_at is not null as has_landed_at,
        {{ cast_or_null('occurred_at', 'timestamp') }} as occurred_at,
        {{ cast_or_null('landed_at', 'timestamp') }} as landed_at
    from source
),

judged as (
    select
        *,
        event_id as record_id,
        {{ row_hash({
            'event_id': 'string', 'customer_id': 'string', 'event_type': 'string',
            'occurred_at': 'timestamp',
        }) }} as row_hash,
        coalesce(landed_at, occurred_at) as known_at,
        case
            when event_id is null then 'missing_event_id'
            when customer_id is null then 'missing_customer_id'
            when event_type is null or event_type not in ('opened', 'closed', 'reopened') then 'unknown_event_type'
            when occurred_at is null then 'missing_occurred_at'
            when has_landed_at and landed_at is null then 'invalid_landed_at'
            when landed_at < occurred_at then 'known_before_it_happened'
        end as rejection_reason
    from typed
)

select * from judged
