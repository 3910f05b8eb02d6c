{# The requests whose rows erasure_records, the model that this stands in, has counted, and not recorded as erased since.
   Usage: select request_id from ({{ unfinished_requests() }}) #}
{% macro unfinished_requests() -%}
    select request_id
    from {{ this }}
    group by request_id
    having
        coalesce(max(case when record_type = 'erased' then recorded_at end), cast('0001-01-01' as timestamp))
        < max(case when record_type = 'found' then recorded_at end)
{%- endmacro %}
