{# A cast that gives null where the value does not fit, so that one bad row does not stop a load.
   Usage: {{ cast_or_null('rating', float_type()) }} #}
{% macro cast_or_null(expression, type) -%}
    {{ return(adapter.dispatch('cast_or_null')(expression, type)) }}
{%- endmacro %}

{% macro default__cast_or_null(expression, type) -%}
    try_cast({{ expression }} as {{ type }})
{%- endmacro %}

{% macro bigquery__cast_or_null(expression, type) -%}
    safe_cast({{ expression }} as {{ type }})
{%- endmacro %}
