{# Some columns of a row as one text that is the same on every engine and for no two different rows:
   every value carries its length, null is a dash (`||`: on DuckDB `concat` would pass over a null). `columns` maps names to types
   (string, int64, boolean, timestamp, double; a double to nine decimals, and one from nine billion on, or that is not finite, as null).
   Usage: {{ row_text({'object_id': 'string', 'known_at': 'timestamp'}) }} #}
{% macro row_text(columns) -%}
    {%- set known_types = ['string', 'int64', 'boolean', 'timestamp', 'double'] -%}
    {%- set parts = [] -%}
    {%- for name, type in columns.items() -%}
        {%- if type not in known_types -%}
            {{ exceptions.raise_compiler_error(
                "row_text: column " ~ name ~ " has type " ~ type ~ "; known are " ~ known_types | join(', ')
            ) }}
        {%- endif -%}
        {%- if type == 'timestamp' -%}
            {%- set text = format_utc(name, with_microseconds = true) -%}
        {%- elif type == 'double' -%}
            {#- BigQuery stops at a product that is too large for a double -#}
            {%- set text = "cast(cast(case when abs(" ~ name ~ ") < 9e9 then round(" ~ name ~ " * 1e9) end as int64) as string)" -%}
        {%- else -%}
            {%- set text = "cast(" ~ name ~ " as string)" -%}
        {%- endif -%}
        {%- do parts.append("coalesce(cast(length(" ~ text ~ ") as string) || ':' || " ~ text ~ ", '-')") -%}
    {%- endfor -%}
    concat({{ parts | join(', ') }})
{%- endmacro %}
