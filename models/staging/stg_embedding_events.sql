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

-- vectors only of the partitions in which something is to be staged
events as (
    select *
    from {{ ref('base_embedding_events') }}
    {%- if is_incremental() %}
    where {{ partitions_with(unstaged, 'landed_at') }}
    {%- endif %}
),

-- the vector that was measured, which is still there; BigQuery may add up a norm in another order each time
measured_events as (
    select events.*
    from events
    inner join unstaged
        on
            events.landed_row_id = unstaged.landed_row_id
            and events.embedding_dim = unstaged.embedding_dim
            and abs(events.embedding_norm - unstaged.embedding_norm) <= 1e-9 * unstaged.embedding_norm
),

first_known as (
    select *
    from measured_events
    qualify row_number() over (
        partition by event_id
        -- copies of one id and one norm, by what comes first in them: two vectors that agree in all this are one
        order by
            known_at,
            row_hash,
            landed_row_id,
            {{ array_item('embedding', 0) }},
            {{ array_item('embedding', 1) }}
    ) = 1
),

-- another lander may have given the same vector another event_id
one_per_encoder as (
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
    from first_known
    qualify row_number() over (
        partition by object_id, object_version, encoder_fingerprint
        order by known_at, row_hash, landed_row_id
    ) = 1
)

select * from one_per_encoder
