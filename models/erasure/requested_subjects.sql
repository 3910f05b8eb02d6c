{{ config(materialized = 'incremental', full_refresh = false) }}

{#- Whose rows are to go, recorded before the first one goes: whose an object is can be told only while its rows are there, here
    or in landing. What landed later of an erased customer is added by later builds. -#}
{%- set customer_columns = {
    'stg_objects': 'customer_id', 'dataset_candidates': 'split_group_id', 'dataset_snapshots': 'split_group_id',
} -%}
{%- set held_events = held_relation('stg_embedding_events') %}

with requests as (
    select * from {{ ref('stg_erasure_requests') }}
),

owners as (
    select
        cast(object_id as string) as object_id,
        cast(customer_id as string) as customer_id
    from {{ source('landing', 'object_events') }}
    where object_id is not null
    {%- for model, customer_column in customer_columns.items() if held_relation(model) %}
    union distinct
    select
        object_id,
        {{ customer_column }}
    from {{ held_relation(model) }}
    {%- endfor %}
),

asked_for as (
    select
        scope,
        subject_id,
        event_id as request_id,
        known_at
    from requests
    union all
    select
        'object' as scope,
        owners.object_id as subject_id,
        requests.event_id as request_id,
        requests.known_at
    from requests
    inner join owners
        on
            requests.scope = 'customer'
            and requests.subject_id = owners.customer_id
),

-- what two requests ask for counts for the one that was known first
first_asked as (
    select
        scope,
        subject_id,
        request_id
    from asked_for
    qualify row_number() over (
        partition by scope, subject_id
        order by known_at, request_id
    ) = 1
),

subjects as (
    {%- for scope in ['customer', 'object'] %}
    select
        scope,
        {{ subject_hash(scope, 'subject_id') }} as subject_hash,
        request_id
    from first_asked
    where scope = '{{ scope }}'
    {{- "\n    union all" if not loop.last }}
    {%- endfor %}
    {%- if held_events %}
    union all
    select
        'event' as scope,
        {{ subject_hash('event', 'held_events.event_id') }} as subject_hash,
        first_asked.request_id
    from {{ held_events }} as held_events
    inner join first_asked
        on
            first_asked.scope = 'object'
            and held_events.object_id = first_asked.subject_id
    {%- endif %}
)

select
    *,
    {{ utc_now() }} as recorded_at
from subjects
{%- if is_incremental() %}
where subject_hash not in (select subject_hash from {{ this }})
{%- endif %}
