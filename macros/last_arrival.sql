{# When a source was last written to, for dbt's freshness: events need not say when they landed, files and tables do. #}

{% macro last_arrival(relation) -%}
    {{ return(adapter.dispatch('last_arrival', 'embedding_store')(relation)) }}
{%- endmacro %}

{# A file's time is in whole seconds, and it gets its name a moment after its last byte: what is so new counts the next time.
   Where a file system tells no time, something may always be new. #}
{% macro duckdb__last_arrival(relation) -%}
    select max(arrived_at) filter (where arrived_at < now() - interval 2 second)
    from (
        select coalesce(last_modified, now() - interval 3 second) as arrived_at
        from read_blob('{{ relation.render().split("'")[1] }}')
    )
{%- endmacro %}

{# dbt-bigquery would ask for a table's metadata by itself, but a source has a query on both engines or on none. #}
{% macro bigquery__last_arrival(relation) -%}
    select timestamp_millis(max(last_modified_time))
    from `{{ relation.database }}`.`{{ relation.schema }}`.__TABLES__
    where table_id = '{{ relation.identifier }}'
{%- endmacro %}
