{# 60 bits of a text's md5 as a number that is never negative: the same on every engine. #}
{% macro hash_to_int64(text) -%}
    {{ return(adapter.dispatch('hash_to_int64')(text)) }}
{%- endmacro %}

{% macro default__hash_to_int64(text) -%}
    cast('0x' || substr(md5({{ text }}), 1, 15) as bigint)
{%- endmacro %}

{% macro bigquery__hash_to_int64(text) -%}
    cast(concat('0x', substr(to_hex(md5({{ text }})), 1, 15)) as int64)
{%- endmacro %}
