{# The timestamp that a landing table is partitioned by. On BigQuery the bare column, which has its type there: a function around it
   would keep the engine from skipping partitions. Usage: {{ partition_timestamp('landed_at') }} #}
{% macro partition_timestamp(column) -%}
    {{ return(adapter.dispatch('partition_timestamp')(column)) }}
{%- endmacro %}

{% macro default__partition_timestamp(column) -%}
    {{ cast_or_null(column, 'timestamp') }}
{%- endmacro %}

{% macro bigquery__partition_timestamp(column) -%}
    {{ column }}
{%- endmacro %}
