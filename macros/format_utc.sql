{# A timestamp as text, the same on both engines: 2026-10-05T00:00:00Z, with six more digits if asked for.
   Usage: {{ format_utc('as_of') }}, {{ format_utc('known_at', with_microseconds = true) }} #}
{% macro format_utc(timestamp, with_microseconds = false) -%}
    {{ return(adapter.dispatch('format_utc')(timestamp, with_microseconds)) }}
{%- endmacro %}

{% macro default__format_utc(timestamp, with_microseconds) -%}
    strftime({{ timestamp }}, '%Y-%m-%dT%H:%M:%S{{ ".%f" if with_microseconds }}Z')
{%- endmacro %}

{% macro bigquery__format_utc(timestamp, with_microseconds) -%}
    format_timestamp('%Y-%m-%dT%H:%M:%{{ "E6S" if with_microseconds else "S" }}Z', {{ timestamp }}, 'UTC')
{%- endmacro %}
