{# The moment of the build, UTC. Staging asks for it to keep out what claims to come from the future, and ledgers to say when they
   recorded something; no dataset may. #}
{% macro utc_now() -%}
    {{ return(adapter.dispatch('utc_now')()) }}
{%- endmacro %}

{% macro default__utc_now() -%}
    cast(current_timestamp as timestamp)
{%- endmacro %}

{% macro bigquery__utc_now() -%}
    current_timestamp()
{%- endmacro %}
