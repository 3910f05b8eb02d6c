{# By what the store recognises an erased customer, object or event without keeping its id; null for null.
   Usage: {{ subject_hash('object', 'object_id') }} #}
{% macro subject_hash(scope, column) -%}
    {{ dbt.hash("'" ~ scope ~ "/' || cast(" ~ column ~ " as string)") }}
{%- endmacro %}
