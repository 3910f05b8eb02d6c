{# When a source was last written to, for dbt's freshness: events need not say when they landed, files and tables do. #}

{% macro last_arrival(relation) -%}
    {{ return(adapter.dispatch('last_arrival', 'embedding_store')(relation)) }}
{%- endmacro %}

{# A file's time is in whole seconds, and it gets its name a moment after its last byte: what is so new counts the next time. #}
{% macro duckdb__last_arrival(relation) -%}
    select max(last_modified) filter (where last_modified < now() - interval 2 second)
    from read_blob('{{ relation.render().split("'")[1] }}')
{%- endmacro %}

{% macro bigquery__last_arrival(relation) -%}
    select timestamp_millis(max(last_modified_time))
    from `{{ relation.database }}`.`{{ relation.schema }}`.__TABLES__
    where table_id = '{{ relation.identifier }}'
{%- endmacro %}
