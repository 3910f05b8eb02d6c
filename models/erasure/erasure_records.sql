{# On a new store there is nothing to count, and the linter finds a query that nobody reads. #}
-- noqa: disable=ST03
{{ config(
    materialized = 'incremental',
    full_refresh = false,
    pre_hook = "{% if is_incremental() %}{{ remove_erased_rows() }}{% endif %}",
    post_hook = ["{{ remove_erased_rows() }}", "{{ finish_erasure() }}"],
) }}

{#- What is about to be removed, counted while it is there. The first hook finishes what a killed build had counted, the last ones
    remove what is counted here. -#}
{%- set is_asked_for = not is_incremental() or erasure_is_pending() -%}
{%- set tables = tables_with_subjects() -%}
{%- set headers = held_relation('dataset_headers') -%}
{%- set is_begun = headers and is_asked_for %}

with subjects as (
    {%- if is_incremental() %}
    {{ counted_subjects(false) | indent(4) }}
    {%- else %}
    select * from {{ ref('requested_subjects') }}
    {%- endif %}
),

requests as (
    select distinct request_id from subjects
    union distinct
    select event_id as request_id from {{ ref('stg_erasure_requests') }}
    {%- if is_incremental() %}
    where event_id not in (select request_id from {{ this }})
    {%- endif %}
),

table_names as (
    {%- for table in tables %}
    select '{{ table.model }}' as table_name
    {{- " union all" if not loop.last }}
    {%- endfor %}
),

{%- if is_begun %}

-- a header whose rows a killed build never wrote can no longer get them all: it is withdrawn, and taken anew
unfinished as (
    {{ unfinished_headers() | indent(4) }}
),

-- what a killed build chose from is judged anew, so nobody adds that up
summed_headers as (
    select snapshot_id
    from {{ headers }}
    where snapshot_id not in (select snapshot_id from unfinished)
),

first_request as (
    select min(request_id) as request_id from requests
),
{%- endif %}

found as (
    {%- for table in tables if table.relation and is_asked_for %}
    {%- set summed = frozen_columns()[table.model] if is_begun else none %}
    select
        subjects.request_id,
        '{{ table.model }}' as table_name,
        {{ 'summed_headers.snapshot_id' if summed else 'cast(null as string)' }} as snapshot_id,
        {{ 'held.split' if summed else 'cast(null as string)' }} as split,
        count(*) as row_count,
        cast({{ 'sum(' ~ row_fingerprint(summed) ~ ')' if summed else 'null' }} as {{ sum_type() }}) as fingerprint
    from {{ table.relation }} as held
    inner join subjects
        on {{ subject_hash(table.scope, 'held.' ~ table.column) }} = subjects.subject_hash
    {%- if summed %}
    left join summed_headers
        on held.snapshot_id = summed_headers.snapshot_id
    {%- endif %}
    group by subjects.request_id{{ ', summed_headers.snapshot_id, held.split' if summed }}
    union all
    {%- endfor %}
    {%- if is_begun %}
    select
        first_request.request_id,
        'dataset_headers' as table_name,
        unfinished.snapshot_id,
        cast(null as string) as split,
        1 as row_count,
        cast(null as {{ sum_type() }}) as fingerprint
    from unfinished
    cross join first_request
    where first_request.request_id is not null
    union all
    {%- endif %}
    -- a table that held nothing of a subject is on record, too
    select
        requests.request_id,
        table_names.table_name,
        cast(null as string) as snapshot_id,
        cast(null as string) as split,
        0 as row_count,
        cast(null as {{ sum_type() }}) as fingerprint
    from requests
    cross join table_names
),

records as (
    select
        request_id,
        'found' as record_type,
        table_name,
        snapshot_id,
        split,
        cast(sum(row_count) as int64) as row_count,
        cast(sum(fingerprint) as {{ sum_type() }}) as fingerprint,
        {{ utc_now() }} as recorded_at
    from found
    group by request_id, table_name, snapshot_id, split
)

select * from records
