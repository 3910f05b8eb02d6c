with source as (
    select * from {{ source('landing', 'encoding_failures') }}
    where
        {{ not_erased('object', 'object_id') }}
        and {{ not_erased('customer', 'customer_id') }}
),

typed as (
    select
        cast(object_id as string) as object_id,
        cast(object_version as string) as object_version,
        cast(encoder_id as string) as encoder_id,
        cast(reason as string) as reason,
        cast(job_run_id as string) as job_run_id,
        {{ cast_or_null('failed_at', 'timestamp') }} as failed_at
    from source
)

select * from typed
