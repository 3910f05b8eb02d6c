{# A text without the white space at its ends, line ends among it: on DuckDB `trim` takes spaces alone.
   Usage: {{ without_outer_space('subject_id') }} #}
{% macro without_outer_space(text) -%}
    {{ return(adapter.dispatch('without_outer_space')(text)) }}
{%- endmacro %}

{% macro default__without_outer_space(text) -%}
    regexp_replace({{ text }}, '^[\s\v\p{Z}]+|[\s\v\p{Z}]+$', '', 'g')
{%- endmacro %}

{% macro bigquery__without_outer_space(text) -%}
    trim({{ text }})
{%- endmacro %}
