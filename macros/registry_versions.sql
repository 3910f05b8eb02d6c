{# The history of a registry: a row for each row that is new, changed or gone since the last build; earlier ones stay as they are.
   `columns` maps the registry's columns to types, its key first.
   Usage: {{ registry_versions('datasets', {'dataset_id': 'string', …}) }} as the whole of dataset_versions.sql #}
{% macro registry_versions(registry, columns) -%}
{%- set key = columns | first -%}
with registered as (
    select
        {%- for column in columns %}
        {{ column }},
        {%- endfor %}
        {{ row_hash(columns) }} as row_hash,
        false as is_removed
    from {{ ref(registry) }}
)
{%- if is_incremental() %},

newest as (
    select * from {{ this }}
    qualify row_number() over (
        partition by {{ key }}
        order by recorded_at desc
    ) = 1
),

changed as (
    select registered.*
    from registered
    left join newest
        on registered.{{ key }} = newest.{{ key }}
    where newest.{{ key }} is null or newest.is_removed or newest.row_hash <> registered.row_hash
    union all
    select
        {%- for column in columns %}
        newest.{{ column }},
        {%- endfor %}
        newest.row_hash,
        true as is_removed
    from newest
    left join registered
        on newest.{{ key }} = registered.{{ key }}
    where
        registered.{{ key }} is null
        and not newest.is_removed
        -- a build that reads no rows has not seen that they are gone
        and {{ 'false' if flags.EMPTY else 'true' }}
)
{%- endif %}

select
    *,
    {{ utc_now() }} as recorded_at
from {{ 'changed' if is_incremental() else 'registered' }}
{%- endmacro %}
