{{ config(
    materialized = 'incremental',
    full_refresh = false,
    partition_by = day_partitions('known_at'),
    cluster_by = ['encoder_fingerprint'],
) }}

{#- Vectors are read once, when they land: what must be known of them later stands here. -#}
{%- set landed_row_id = row_hash({'row_hash': 'string', 'known_at': 'timestamp'}) -%}
{%- set unjudged %}
    select landed_at
    from {{ ref('base_embedding_events') }}
    where {{ landed_row_id }} not in (select landed_row_id from {{ this }})
{%- endset -%}

with events as (
    select
        *,
        {{ landed_row_id }} as landed_row_id
    from {{ ref('base_embedding_events') }}
    {%- if is_incremental() %}
    where {{ partitions_with(unjudged, 'landed_at') }}
    {%- endif %}
),

new_events as (
    select *
    from events
    {%- if is_incremental() %}
    where not exists (
        select 1
        from {{ this }} as held
        where held.landed_row_id = events.landed_row_id
    )
    {%- endif %}
),

judged as (
    select
        landed_row_id,
        event_id,
        object_id,
        object_version,
        encoder_fingerprint,
        record_id,
        row_hash,
        rejection_reason,
        embedding_dim,
        embedding_norm,
        landed_at,
        known_at
    from new_events
    -- of copies that name the same moment one is judged, in whatever order they lie
    qualify row_number() over (
        partition by landed_row_id
        order by rejection_reason, embedding_norm, runtime
    ) = 1
)

select * from judged
