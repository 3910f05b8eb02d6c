{# The number of elements of a vector; null for a null vector on DuckDB (BigQuery stores it as an empty one). #}
{% macro vector_length(vector) -%}
    {{ return(adapter.dispatch('vector_length')(vector)) }}
{%- endmacro %}

{% macro default__vector_length(vector) -%}
    len({{ vector }})
{%- endmacro %}

{% macro bigquery__vector_length(vector) -%}
    array_length({{ vector }})
{%- endmacro %}
