{# The type of an order-free sum of hashes: wide enough for 10^10 rows of 60 bits. BigQuery casts to no type with parameters. #}
{% macro sum_type() -%}
    {{ return(adapter.dispatch('sum_type')()) }}
{%- endmacro %}

{% macro default__sum_type() -%}
    decimal(29, 0)
{%- endmacro %}

{% macro bigquery__sum_type() -%}
    numeric
{%- endmacro %}
