{# The one moment that a variable asks for, as a timestamp to the second; nothing if it asks for none.
   Usage: {% set rescore_from = requested_moment('rescore_from') %} #}
{% macro requested_moment(variable) -%}
    {%- if var(variable) is iterable and var(variable) is not string -%}
        {{ exceptions.raise_compiler_error(variable ~ ": takes one moment, and no list") }}
    {%- endif -%}
    {%- set moments = requested_moments(variable) -%}
    {{ return(moments | first if moments else none) }}
{%- endmacro %}
