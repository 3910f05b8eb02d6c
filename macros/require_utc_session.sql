{# Stops every dbt command whose session is not in UTC, before it reads or writes: the zone would shift timestamps that have none, and what is
   frozen or staged stays shifted. A hook, since a data test without a parent stops nothing. #}
{% macro require_utc_session() -%}
    {%- if execute -%}
        {{ adapter.dispatch('require_utc_session')() }}
    {%- endif -%}
{%- endmacro %}

{% macro default__require_utc_session() -%}
    {%- set time_zone = run_query("select current_setting('TimeZone')").columns[0][0] -%}
    {%- if time_zone != 'UTC' -%}
        {{ exceptions.raise_compiler_error(
            "profiles.yml: the session runs in " ~ time_zone ~ "; add settings: {TimeZone: UTC}, as profiles.yml.example does"
        ) }}
    {%- endif -%}
{%- endmacro %}

{# `default_time_zone` of a project, or of its organisation, is the zone of every literal that names none. It may have summer time. #}
{% macro bigquery__require_utc_session() -%}
    {%- set found = run_query("select unix_seconds(timestamp '2026-01-01 00:00:00'), unix_seconds(timestamp '2026-07-01 00:00:00')").rows[0] -%}
    {%- if found[0] != 1767225600 or found[1] != 1782864000 -%}
        {{ exceptions.raise_compiler_error(
            "project " ~ target.project ~ ": its default_time_zone is not UTC; set it to UTC for the project (alter project ... set options)"
        ) }}
    {%- endif -%}
{%- endmacro %}
