{# A timestamp some hours later. Usage: {{ add_hours('object_created_at', 'label_horizon_hours') }} #}
{% macro add_hours(timestamp, hours) -%}
    {{ return(adapter.dispatch('add_hours')(timestamp, hours)) }}
{%- endmacro %}

{% macro default__add_hours(timestamp, hours) -%}
    {{ timestamp }} + to_hours({{ hours }})
{%- endmacro %}

{% macro bigquery__add_hours(timestamp, hours) -%}
    timestamp_add({{ timestamp }}, interval {{ hours }} hour)
{%- endmacro %}
