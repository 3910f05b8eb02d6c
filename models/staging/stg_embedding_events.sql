{# The query of keys stands once and is used twice: the linter takes its indentation for another depth. #}
-- noqa: disable=LT02
{{ config(
    materialized = 'incremental',
    full_refresh = false,
    partition_by = day_partitions('known_at'),
    cluster_by = ['encoder_fingerprint', 'object_id'],
) }}

{%- set unstaged %}
    select judged.*
    from {{ ref('judged_embedding_events') }} as judged
    where
        judged.rejection_reason is null
        {%- if is_incremental() %}
        and not exists (
            select 1
            from {{ this }} as staged
            where staged.event_id = judged.event_id
        )
        and not exists (
            select 1
            from {{ this }} as staged
            where
                staged.object_id = judged.object_id
                and staged.object_version = judged.object_version
                and staged.encoder_fingerprint = judged.encoder_fingerprint
        )
        {%- endif %}
{%- endset -%}

with unstaged as (
    {{ unstaged | trim }}
),

first_known as (
    select *
    from unstaged
    qualify row_number() over (
        partition by event_id
        order by known_at, row_hash
    ) = 1
),

-- another lander may have given the same vector another event_id
one_per_encoder as (
    select *
    from first_known
    qualify row_number() over (
        partition by object_id, object_version, encoder_fingerprint
        order by known_at, row_hash
    ) = 1
),

-- vectors only of the partitions in which something is to be staged
events as (
    select *
    from {{ ref('base_embedding_events') }}
    {%- if is_incremental() %}
    where {{ partitions_with(unstaged, 'landed_at') }}
    {%- endif %}
),

staged as (
    select
        events.event_id,
        events.object_id,
        events.object_version,
        events.encoder_id,
        events.encoder_fingerprint,
        events.runtime,
        events.job_run_id,
        events.record_id,
        events.row_hash,
        events.token_count,
        one_per_encoder.embedding_dim,
        one_per_encoder.embedding_norm,
        events.is_truncated,
        events.encoded_at,
        events.known_at,
        events.embedding
    from events
    inner join one_per_encoder
        on
            events.row_hash = one_per_encoder.row_hash
            and events.known_at = one_per_encoder.known_at
    -- copies that name the same moment
    qualify row_number() over (
        partition by events.event_id
        order by events.runtime, events.job_run_id
    ) = 1
)

select * from staged
