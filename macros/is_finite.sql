{# Whether a floating point number is neither NaN nor infinite; null for null. #}
{% macro is_finite(number) -%}
    {{ return(adapter.dispatch('is_finite')(number)) }}
{%- endmacro %}

{% macro default__is_finite(number) -%}
    isfinite({{ number }})
{%- endmacro %}

{% macro bigquery__is_finite(number) -%}
    not (is_nan({{ number }}) or is_inf({{ number }}))
{%- endmacro %}
