{# Whether a request is not finished yet, as erasure_records, the model that this stands in, knows: without one nothing is read. #}
{% macro erasure_is_pending() -%}
    {%- if not execute -%}
        {{ return(false) }}
    {%- endif -%}
    {%- set pending = run_query(
        "select count(*) from " ~ ref('stg_erasure_requests')
        ~ " where event_id not in (select request_id from " ~ this ~ " where record_type = 'erased')"
    ) -%}
    {{ return(pending.rows[0][0] > 0) }}
{%- endmacro %}
