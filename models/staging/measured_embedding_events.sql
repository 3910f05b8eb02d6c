{# The query stands once and is used twice: the linter takes its indentation for another depth. #}
-- noqa: disable=LT02
{{ config(
    materialized = 'incremental',
    full_refresh = false,
    partition_by = day_partitions('known_at'),
    cluster_by = ['encoder_fingerprint'],
) }}

{#- Vectors are read when they land: what must be known of them later stands here, whatever the registry says of them. -#}
{%- set unmeasured %}
    select events.*
    from {{ ref('base_embedding_events') }} as events
    {%- if is_incremental() %}
    where
        not exists (
            select 1
            from {{ this }} as held
            where held.landed_row_id = events.landed_row_id
        )
    {%- endif %}
{%- endset -%}

with new_events as (
    {{ unmeasured | trim }}
    {%- if is_incremental() %}
        and {{ partitions_with(unmeasured, 'landed_at') }}
    {%- endif %}
),

measured as (
    select
        landed_row_id,
        event_id,
        object_id,
        object_version,
        encoder_id,
        encoder_fingerprint,
        record_id,
        row_hash,
        embedding_dim,
        embedding_norm,
        has_landed_at,
        encoded_at,
        landed_at,
        known_at
    from new_events
    -- of copies that differ in the vector alone a finite one is measured, and of these the longest, in whatever order they lie
    qualify row_number() over (
        partition by landed_row_id
        order by
            case when {{ is_finite('embedding_norm') }} then 1 else 2 end,
            embedding_dim desc,
            embedding_norm
    ) = 1
)

select * from measured
