{# An id of a row's content: equal rows have equal ids on every engine. Null never makes the id null.
   Usage: {{ row_hash({'object_id': 'string', 'rating': 'double'}) }} #}
{% macro row_hash(columns) -%}
    {{ dbt.hash(row_text(columns)) }}
{%- endmacro %}
