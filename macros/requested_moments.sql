{# The moments that a variable asks for (`--vars 'as_of: 2026-10-01'`, or a list of such), each once, as timestamps to the second;
   an empty list if it asks for none. Usage: {% for moment in requested_moments('as_of') %} #}
{% macro requested_moments(variable) -%}
    {%- set asked = var(variable) or [] -%}
    {%- set texts = [] -%}
    {%- for moment in ([asked] if asked is string or asked is not iterable else asked) -%}
        {%- set text = moment | string | trim | replace('T', ' ') -%}
        {%- do texts.append(text ~ ' 00:00:00' if text | length == 10 else text) -%}
    {%- endfor -%}
    {%- set moments = [] -%}
    {%- for text in texts | unique -%}
        {%- if not modules.re.fullmatch('[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}', text) -%}
            {{ exceptions.raise_compiler_error(
                variable ~ ": '" ~ text ~ "' is no UTC moment; write 2026-10-01 or '2026-10-01 12:00:00'"
            ) }}
        {%- endif -%}
        {%- if text > modules.datetime.datetime.now(modules.pytz.utc).strftime('%Y-%m-%d %H:%M:%S') -%}
            {{ exceptions.raise_compiler_error(variable ~ ": " ~ text ~ " has not come yet; nobody knows what will be known then") }}
        {%- endif -%}
        {%- do moments.append("cast('" ~ text ~ "' as timestamp)") -%}
    {%- endfor -%}
    {{ return(moments) }}
{%- endmacro %}
