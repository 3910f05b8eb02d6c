{# The moment that a variable asks for (`--vars 'as_of: …'`), as a timestamp to the second; nothing if it asks for none.
   Usage: {{ requested_moment('as_of') or period_start(...) }} #}
{% macro requested_moment(variable) -%}
    {%- set asked = var(variable) -%}
    {%- if asked -%}
        {%- set text = (asked | string | trim) -%}
        {%- if not modules.re.fullmatch('[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}:[0-9]{2})?', text) -%}
            {{ exceptions.raise_compiler_error(
                variable ~ ": '" ~ text ~ "' is no UTC moment; write 2026-10-01 or '2026-10-01 12:00:00'"
            ) }}
        {%- endif -%}
        {%- if text | replace('T', ' ') > modules.datetime.datetime.now(modules.pytz.utc).strftime('%Y-%m-%d %H:%M:%S') -%}
            {{ exceptions.raise_compiler_error(variable ~ ": " ~ text ~ " has not come yet; nobody knows what will be known then") }}
        {%- endif -%}
        {{ return("cast('" ~ text ~ "' as timestamp)") }}
    {%- endif -%}
    {{ return(none) }}
{%- endmacro %}
