{# The position of an array's largest element, counted from 0; of equal ones the first.
   Null for an empty array. Usage: {{ array_argmax('probabilities') }} #}
{% macro array_argmax(array) -%}
    {{ return(adapter.dispatch('array_argmax')(array)) }}
{%- endmacro %}

{% macro default__array_argmax(array) -%}
    (list_position({{ array }}, list_max({{ array }})) - 1)
{%- endmacro %}

{% macro bigquery__array_argmax(array) -%}
    (
        select element_position
        from unnest({{ array }}) as element with offset as element_position
        order by element desc, element_position
        limit 1
    )
{%- endmacro %}
