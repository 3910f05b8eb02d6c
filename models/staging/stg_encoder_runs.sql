with source as (
    select * from {{ source('landing', 'encoder_runs') }}
),

typed as (
    select
        cast(job_run_id as string) as job_run_id,
        cast(phase as string) as phase,
        cast(encoder_id as string) as encoder_id,
        cast(encoder_fingerprint as string) as encoder_fingerprint,
        cast(runtime as string) as runtime,
        cast(job_version as string) as job_version,
        {{ cast_or_null('objects_read', 'int64') }} as objects_read,
        {{ cast_or_null('objects_landed', 'int64') }} as objects_landed,
        {{ cast_or_null('embeddings_landed', 'int64') }} as embeddings_landed,
        {{ cast_or_null('failures_landed', 'int64') }} as failures_landed,
        {{ cast_or_null('source.at', 'timestamp') }} as occurred_at
    from source
)

select * from typed
