{# A condition that keeps the partitions from the oldest row of a query on, and lets the engine skip those before: engines skip
   partitions for a constant, not for a join. Runs the query, so let it read keys, never vectors.
   Usage: where {{ partitions_with(unstaged_keys, 'landed_at') }} #}
{% macro partitions_with(query, column) -%}
    {%- if not execute -%}
        {{ return('true') }}
    {%- endif -%}
    {%- set found = run_query(
        "select count(*), count(" ~ column ~ "), min(" ~ format_utc(column, with_microseconds = true) ~ ") from (" ~ query ~ ") as keys"
    ).rows[0] -%}
    {%- set conditions = [] -%}
    {%- if found[1] -%}
        {%- do conditions.append(column ~ " >= timestamp '" ~ found[2] | replace('T', ' ') | replace('Z', '') ~ "'") -%}
    {%- endif -%}
    {%- if found[0] > found[1] -%}
        {%- do conditions.append(column ~ " is null") -%}
    {%- endif -%}
    {{ return("(" ~ (conditions | join(' or ') or 'false') ~ ")") }}
{%- endmacro %}
