{# A relation of the numbers from 1 to a constant, in the column `number`. Usage: select number from {{ numbers(200) }} #}
{% macro numbers(count) -%}
    {{ return(adapter.dispatch('numbers')(count)) }}
{%- endmacro %}

{% macro default__numbers(count) -%}
    unnest(range(1, {{ count + 1 }})) as numbers (number)
{%- endmacro %}

{% macro bigquery__numbers(count) -%}
    unnest(generate_array(1, {{ count }})) as number
{%- endmacro %}
