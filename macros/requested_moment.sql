{# The one moment that a variable asks for, as a timestamp to the second; nothing if it asks for none.
   Usage: {% set rescore_from = requested_moment('rescore_from') %} #}
{% macro requested_moment(variable) -%}
    {%- set moments = requested_moments(variable) -%}
    {%- if moments | length > 1 -%}
        {{ exceptions.raise_compiler_error(variable ~ ": takes one moment, not " ~ (moments | length)) }}
    {%- endif -%}
    {{ return(moments | first if moments else none) }}
{%- endmacro %}
