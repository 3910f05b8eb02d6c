{# A timestamp some calendar months earlier; a day that the month lacks becomes its last one.
   Usage: {{ subtract_months('as_of', 'window_months') }} #}
{% macro subtract_months(timestamp, months) -%}
    {{ return(adapter.dispatch('subtract_months')(timestamp, months)) }}
{%- endmacro %}

{% macro default__subtract_months(timestamp, months) -%}
    {{ timestamp }} - to_months(cast({{ months }} as integer))
{%- endmacro %}

{# BigQuery subtracts months from a datetime only. #}
{% macro bigquery__subtract_months(timestamp, months) -%}
    timestamp(datetime_sub(datetime({{ timestamp }}, 'UTC'), interval {{ months }} month), 'UTC')
{%- endmacro %}
