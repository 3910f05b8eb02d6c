{{ config(materialized = 'incremental', full_refresh = false) }}

{#- Whose rows are to go, recorded before the first one goes: whose an object is can be told only while its rows are there, here
    or in landing, or from what `encoder-job erase` recorded before it removed them. What landed later of an erased customer is added
    by later builds. -#}
{%- set customer_columns = {
    'stg_objects': 'customer_id', 'dataset_candidates': 'split_group_id', 'dataset_snapshots': 'split_group_id',
} -%}
{%- set held_events = held_relation('stg_embedding_events') %}

with requests as (
    select * from {{ ref('stg_erasure_requests') }}
),

landed_objects as (
    select
        cast(object_id as string) as object_id,
        cast(customer_id as string) as customer_id
    from {{ source('landing', 'object_events') }}
    where object_id is not null
),

owners as (
    select
        object_id,
        customer_id
    from landed_objects
    union distinct
    -- a failure may also be that a row named another customer than the object's own rows
    select
        cast(object_id as string) as object_id,
        cast(customer_id as string) as customer_id
    from {{ source('landing', 'encoding_failures') }}
    where
        object_id is not null
        and cast(object_id as string) not in (select landed_objects.object_id from landed_objects)
    {%- for model, customer_column in customer_columns.items() if held_relation(model) %}
    union distinct
    select
        object_id,
        {{ customer_column }}
    from {{ held_relation(model) }}
    {%- endfor %}
),

asked_for as (
    {%- for scope in ['customer', 'object'] %}
    select
        scope,
        {{ subject_hash(scope, 'subject_id') }} as subject_hash,
        event_id as request_id,
        known_at
    from requests
    where scope = '{{ scope }}'
    union all
    {%- endfor %}
    select
        'object' as scope,
        {{ subject_hash('object', 'owners.object_id') }} as subject_hash,
        requests.event_id as request_id,
        requests.known_at
    from requests
    inner join owners
        on
            requests.scope = 'customer'
            and requests.subject_id = owners.customer_id
    union all
    select
        'object' as scope,
        subject_hash,
        request_id,
        landed_at as known_at
    from {{ source('landing', 'erased_objects') }}
    where subject_hash is not null
),

-- what two requests ask for counts for the one that was known first
first_asked as (
    select
        scope,
        subject_hash,
        request_id
    from asked_for
    qualify row_number() over (
        partition by scope, subject_hash
        order by known_at, request_id
    ) = 1
),

subjects as (
    select * from first_asked
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
            and {{ subject_hash('object', 'held_events.object_id') }} = first_asked.subject_hash
    {%- endif %}
)

select
    *,
    {{ utc_now() }} as recorded_at
from subjects
{%- if is_incremental() %}
where subject_hash not in (select subject_hash from {{ this }})
{%- endif %}
