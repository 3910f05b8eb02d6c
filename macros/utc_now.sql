{# The moment of the build, UTC. Only staging may ask for it, to keep out what claims to come from the future. #}
{% macro utc_now() -%}
    {{ return(adapter.dispatch('utc_now')()) }}
{%- endmacro %}

{% macro default__utc_now() -%}
    cast(current_timestamp as timestamp)
{%- endmacro %}

{% macro bigquery__utc_now() -%}
    current_timestamp()
{%- endmacro %}
