with source as (
    select * from {{ source('landing', 'object_events') }}
    where
        {{ not_erased('object', 'object_id') }}
        and {{ not_erased('customer', 'customer_id') }}
),

typed as (
    select
        cast(object_id as string) as object_id,
        coalesce(cast(object_version as string), '1') as object_version,
        cast(customer_id as string) as customer_id,
        cast(modality as string) as modality,
        cast(content_mac as string) as content_mac,
        cast(content_mac_key_id as string) as content_mac_key_id,
        cast(source_reference as string) as source_reference,
        {{ cast_or_null('content_length', 'int64') }} as content_length,
        landed_at is not null as has_landed_at,
        {{ cast_or_null('object_created_at', 'timestamp') }} as object_created_at,
        {{ cast_or_null('landed_at', 'timestamp') }} as landed_at
    from source
),

judged as (
    select
        *,
        object_id || '/' || object_version as record_id,
        {{ row_hash({
            'object_id': 'string', 'object_version': 'string', 'customer_id': 'string', 'modality': 'string',
            'content_mac': 'string', 'content_mac_key_id': 'string', 'content_length': 'int64',
            'source_reference': 'string', 'object_created_at': 'timestamp',
        }) }} as row_hash,
        coalesce(landed_at, object_created_at) as known_at,
        case
            when object_id is null then 'missing_object_id'
            when customer_id is null then 'missing_customer_id'
            when object_created_at is null then 'missing_object_created_at'
            when has_landed_at and landed_at is null then 'invalid_landed_at'
            when landed_at < object_created_at then 'known_before_it_happened'
            -- one object from the year 2062 would set the clock of every dataset; what is only early enters when its time comes
            when coalesce(landed_at, object_created_at) > {{ utc_now() }} then 'in_the_future'
        end as rejection_reason
    from typed
)

select * from judged
