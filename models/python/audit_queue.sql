{# Which snapshots are to be audited, with the encoders in live use. Each is audited once, so not before its vectors are there. #}
with coverage as (
    select * from {{ ref('dataset_coverage') }}
),

queued as (
    select
        snapshot_id,
        encoder_fingerprint
    from coverage
    where is_live and coverage >= {{ var('least_coverage') }}
)

select * from queued
