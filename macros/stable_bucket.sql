{# The bucket of a key, 0 <= bucket < buckets: the same on every engine, for ever.
   Usage: {{ stable_bucket('customer_id', var('split_salt'), 1000) }} #}
{% macro stable_bucket(key, salt, buckets) -%}
    {%- set salted = "concat('" ~ salt ~ "', '|', " ~ key ~ ")" -%}
    mod({{ hash_to_int64(salted) }}, {{ buckets }})
{%- endmacro %}
