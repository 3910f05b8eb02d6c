{# How many draws must define a metric for the draws to be a fair picture of it. #}
{% macro least_draws() -%}
    0.95 * {{ var('bootstrap_replicates') }}
{%- endmacro %}
