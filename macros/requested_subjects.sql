{# Who and what is to be erased: the subjects of requests and the objects of these customers, each under its first request; with
   what the store holds from the last build also objects that have left landing, and the events of the objects' vectors.
   Usage: {{ requested_subjects('requests') }}, where `requests` has the columns of stg_erasure_requests #}
{% macro requested_subjects(requests, with_held = false) -%}
{%- set held_objects = held_relation('stg_objects') if with_held -%}
{%- set held_snapshots = held_relation('dataset_snapshots') if with_held -%}
{%- set held_events = held_relation('stg_embedding_events') if with_held -%}
with objects_of_customers as (
    select
        cast(object_id as string) as object_id,
        cast(customer_id as string) as customer_id
    from {{ source('landing', 'object_events') }}
    where object_id is not null
    {%- if held_objects %}
    union distinct
    select
        object_id,
        customer_id
    from {{ held_objects }}
    {%- endif %}
    {%- if held_snapshots %}
    union distinct
    select
        object_id,
        split_group_id
    from {{ held_snapshots }}
    {%- endif %}
),

asked_for as (
    select
        scope,
        subject_id,
        event_id as request_id,
        known_at
    from {{ requests }} as asked
    union all
    select
        'object' as scope,
        objects_of_customers.object_id as subject_id,
        asked.event_id as request_id,
        asked.known_at
    from {{ requests }} as asked
    inner join objects_of_customers
        on
            asked.scope = 'customer'
            and asked.subject_id = objects_of_customers.customer_id
),

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
)

select * from first_asked
{%- if held_events %}
union all
select
    'event' as scope,
    held_events.event_id as subject_id,
    first_asked.request_id
from {{ held_events }} as held_events
inner join first_asked
    on
        first_asked.scope = 'object'
        and held_events.object_id = first_asked.subject_id
{%- endif %}
{%- endmacro %}
