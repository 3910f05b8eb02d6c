{# One element of an array by its position, counted from 0; null beyond the array.
   Usage: {{ array_item('classes', 0) }} #}
{% macro array_item(array, position) -%}
    {{ return(adapter.dispatch('array_item')(array, position)) }}
{%- endmacro %}

{% macro default__array_item(array, position) -%}
    {{ array }}[{{ position }} + 1]
{%- endmacro %}

{# The cast changes nothing for BigQuery itself; its emulator shifts a position only if it knows the type. #}
{% macro bigquery__array_item(array, position) -%}
    {{ array }}[safe_offset(cast({{ position }} as int64))]
{%- endmacro %}
