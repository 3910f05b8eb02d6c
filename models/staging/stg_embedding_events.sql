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

-- only the partitions in which something is to be staged
events as (
    select *
    from {{ ref('base_embedding_events') }}
    {%- if is_incremental() %}
    where {{ partitions_with(unstaged, 'landed_at') }}
    {%- endif %}
),

-- what was measured, and is still there
landed as (
    select
        landed_row_id,
        count(*) as copy_count
    from events
    group by landed_row_id
),

first_known as (
    select
        unstaged.*,
        landed.copy_count
    from unstaged
    inner join landed
        on unstaged.landed_row_id = landed.landed_row_id
    qualify row_number() over (
        partition by unstaged.event_id
        order by unstaged.known_at, unstaged.row_hash, unstaged.landed_row_id
    ) = 1
),

-- another lander may have given the same vector another event_id
one_per_encoder as (
    select *
    from first_known
    qualify row_number() over (
        partition by object_id, object_version, encoder_fingerprint
        order by known_at, row_hash, landed_row_id
    ) = 1
),

-- keys have been chosen: of rows without a copy the vectors stream, and are never sorted
{%- for name, condition in [('lone_rows', '= 1'), ('copied_rows', '> 1')] %}

{{ name }} as (
    select events.*
    from events
    inner join one_per_encoder
        on
            events.landed_row_id = one_per_encoder.landed_row_id
            -- the vector that was measured; BigQuery may add up a norm in another order each time
            and events.embedding_dim = one_per_encoder.embedding_dim
            and abs(events.embedding_norm - one_per_encoder.embedding_norm) <= 1e-9 * one_per_encoder.embedding_norm
    where one_per_encoder.copy_count {{ condition }}
    {%- if name == 'copied_rows' %}
    -- copies of one id and one norm, by what comes first in them: two vectors that agree in all this are one
    qualify row_number() over (
        partition by events.landed_row_id
        order by
            {{ array_item('events.embedding', 0) }},
            {{ array_item('events.embedding', 1) }}
    ) = 1
    {%- endif %}
),
{%- endfor %}

staged as (
    {%- for name in ['lone_rows', 'copied_rows'] %}
    select
        event_id,
        object_id,
        object_version,
        encoder_id,
        encoder_fingerprint,
        runtime,
        job_run_id,
        record_id,
        row_hash,
        token_count,
        embedding_dim,
        embedding_norm,
        is_truncated,
        encoded_at,
        known_at,
        embedding
    from {{ name }}
    {{- " union all" if not loop.last }}
    {%- endfor %}
)

select * from staged
