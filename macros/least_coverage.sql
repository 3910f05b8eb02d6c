{# The share of a snapshot's examples that must have a vector before a model learns from it or its split is audited. #}
{% macro least_coverage() -%}
    {{ return(0.95) }}
{%- endmacro %}
