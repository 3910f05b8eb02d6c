{# How many whole days of 24 hours lie between two timestamps, the first not later than the second.
   Usage: {{ days_between('object_created_at', 'as_of') }} #}
{% macro days_between(earlier, later) -%}
    {{ return(adapter.dispatch('days_between')(earlier, later)) }}
{%- endmacro %}

{% macro default__days_between(earlier, later) -%}
    date_sub('day', {{ earlier }}, {{ later }})
{%- endmacro %}

{% macro bigquery__days_between(earlier, later) -%}
    timestamp_diff({{ later }}, {{ earlier }}, day)
{%- endmacro %}
