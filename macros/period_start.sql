{# The first moment of the day, ISO week or month that holds a timestamp; null for another cadence.
   Usage: {{ period_start('datasets.cadence', 'objects.known_at') }} #}
{% macro period_start(cadence, timestamp) -%}
    {{ return(adapter.dispatch('period_start')(cadence, timestamp)) }}
{%- endmacro %}

{% macro default__period_start(cadence, timestamp) -%}
    case {{ cadence }}
        when 'day' then cast(date_trunc('day', {{ timestamp }}) as timestamp)
        when 'week' then cast(date_trunc('week', {{ timestamp }}) as timestamp)
        when 'month' then cast(date_trunc('month', {{ timestamp }}) as timestamp)
    end
{%- endmacro %}

{# BigQuery's own `week` begins on Sunday. #}
{% macro bigquery__period_start(cadence, timestamp) -%}
    case {{ cadence }}
        when 'day' then timestamp_trunc({{ timestamp }}, day)
        when 'week' then timestamp_trunc({{ timestamp }}, isoweek)
        when 'month' then timestamp_trunc({{ timestamp }}, month)
    end
{%- endmacro %}
