{# The one scalar type that the engines name differently: 64-bit floating point. #}
{% macro float_type() -%}
    {{ return(adapter.dispatch('float_type')()) }}
{%- endmacro %}

{% macro default__float_type() -%}
    double
{%- endmacro %}

{% macro bigquery__float_type() -%}
    float64
{%- endmacro %}
