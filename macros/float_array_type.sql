{# The type of an array of 64-bit numbers: weights of a unit, probabilities of the classes. #}
{% macro float_array_type() -%}
    {{ return(adapter.dispatch('float_array_type')()) }}
{%- endmacro %}

{% macro default__float_array_type() -%}
    double[]
{%- endmacro %}

{% macro bigquery__float_array_type() -%}
    array<float64>
{%- endmacro %}
