{# The setting `partition_by` of a large table: a partition a day on BigQuery; DuckDB's files have none.
   Usage: {{ config(partition_by = day_partitions('known_at')) }} #}
{% macro day_partitions(column) -%}
    {{ return(adapter.dispatch('day_partitions')(column)) }}
{%- endmacro %}

{% macro default__day_partitions(column) -%}
    {{ return(none) }}
{%- endmacro %}

{% macro bigquery__day_partitions(column) -%}
    {{ return({'field': column, 'data_type': 'timestamp', 'granularity': 'day'}) }}
{%- endmacro %}
