{# The type of an embedding: float32 where the engine has it. One events table holds encoders of every dimension,
   so the type names none. #}
{% macro vector_type() -%}
    {{ return(adapter.dispatch('vector_type')()) }}
{%- endmacro %}

{% macro default__vector_type() -%}
    float[]
{%- endmacro %}

{% macro bigquery__vector_type() -%}
    array<float64>
{%- endmacro %}
