with encoder_versions as (
    select * from {{ ref('encoder_versions') }}
),

newest as (
    select
        encoder_id,
        encoder_fingerprint,
        location,
        embedding_dim,
        is_unit_norm
    from encoder_versions
    qualify row_number() over (
        partition by encoder_id, encoder_fingerprint
        order by recorded_at desc
    ) = 1
)

select * from newest
