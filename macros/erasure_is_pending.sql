{# Whether something is still to be counted or removed, as erasure_records, the model that this stands in, knows: a subject that is not
   counted, or a request that is not recorded as erased since it was counted last. Without one, nothing is read. #}
{% macro erasure_is_pending() -%}
    {%- if not execute -%}
        {{ return(false) }}
    {%- endif -%}
    {%- set pending = run_query(
        "select count(*) from (" ~ counted_subjects(false) ~ ") as uncounted"
        ~ " union all select count(*) from (" ~ unfinished_requests() ~ ") as unfinished"
        ~ " union all select count(*) from " ~ ref('stg_erasure_requests')
        ~ " where event_id not in (select request_id from " ~ this ~ ")"
    ) -%}
    {{ return(pending.columns[0].values() | sum > 0) }}
{%- endmacro %}
