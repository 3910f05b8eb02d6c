{# The position of an item's first occurrence in an array, counted from 0; null if it is not there.
   Usage: {{ array_position('classes', 'label') }} #}
{% macro array_position(array, item) -%}
    {{ return(adapter.dispatch('array_position')(array, item)) }}
{%- endmacro %}

{% macro default__array_position(array, item) -%}
    (list_position({{ array }}, {{ item }}) - 1)
{%- endmacro %}

{% macro bigquery__array_position(array, item) -%}
    (
        select min(element_position)
        from unnest({{ array }}) as element with offset as element_position
        where element = {{ item }}
    )
{%- endmacro %}
