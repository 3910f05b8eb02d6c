with source as (
    select * from {{ source('landing', 'rating_events') }}
    where {{ not_erased('object', 'object_id') }}
),

typed as (
    select
        cast(event_id as string) as event_id,
        cast(object_id as string) as object_id,
        {{ cast_or_null('rating', float_type()) }} as rating,
        landed_at is not null as has_landed_at,
        {{ cast_or_null('rated_at', 'timestamp') }} as rated_at,
        {{ cast_or_null('landed_at', 'timestamp') }} as landed_at
    from source
),

judged as (
    select
        *,
        event_id as record_id,
        {{ row_hash({
            'event_id': 'string', 'object_id': 'string', 'rating': 'double',
            'rated_at': 'timestamp',
        }) }} as row_hash,
        coalesce(landed_at, rated_at) as known_at,
        case
            when event_id is null then 'missing_event_id'
            when object_id is null then 'missing_object_id'
            when rating is null or not {{ is_finite('rating') }} then 'rating_is_not_a_number'
            when rated_at is null then 'missing_rated_at'
            when has_landed_at and landed_at is null then 'invalid_landed_at'
            when landed_at < rated_at then 'known_before_it_happened'
        end as rejection_reason
    from typed
)

select * from judged
