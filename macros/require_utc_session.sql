{# Stops every dbt command whose session is not in UTC, before it reads or writes: the zone would shift timestamps that have none, and what is
   frozen or staged stays shifted. A hook, since a data test without a parent stops nothing. BigQuery's timestamps have no zone. #}
{% macro require_utc_session() -%}
    {%- if execute and target.type == 'duckdb' -%}
        {%- set time_zone = run_query("select current_setting('TimeZone')").columns[0][0] -%}
        {%- if time_zone != 'UTC' -%}
            {{ exceptions.raise_compiler_error(
                "profiles.yml: the session runs in " ~ time_zone ~ "; add settings: {TimeZone: UTC}, as profiles.yml.example does"
            ) }}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}
