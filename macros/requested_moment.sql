{# The moment that `--vars 'as_of: …'` asks for, as a timestamp to the second; nothing if it asks for none.
   Usage: {{ requested_moment() or period_start(...) }} #}
{% macro requested_moment() -%}
    {%- set as_of = var('as_of') -%}
    {%- if as_of -%}
        {%- set text = (as_of | string | trim) -%}
        {%- if not modules.re.fullmatch('[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}:[0-9]{2})?', text) -%}
            {{ exceptions.raise_compiler_error(
                "as_of: '" ~ text ~ "' is no UTC moment; write 2026-10-01 or '2026-10-01 12:00:00'"
            ) }}
        {%- endif -%}
        {%- if text | replace('T', ' ') > modules.datetime.datetime.now(modules.pytz.utc).strftime('%Y-%m-%d %H:%M:%S') -%}
            {{ exceptions.raise_compiler_error("as_of: " ~ text ~ " has not come yet; nobody knows what will be known then") }}
        {%- endif -%}
        {{ return("cast('" ~ text ~ "' as timestamp)") }}
    {%- endif -%}
    {{ return(none) }}
{%- endmacro %}
