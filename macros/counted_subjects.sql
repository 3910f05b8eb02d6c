{# The subjects whose rows erasure_records, the model that this stands in, has counted, or has not.
   Usage: select subject_hash from ({{ counted_subjects(true) }}) #}
{% macro counted_subjects(is_counted) -%}
    select subjects.*
    from {{ ref('requested_subjects') }} as subjects
    left join (
        select
            request_id,
            max(recorded_at) as recorded_at
        from {{ this }}
        where record_type = 'found'
        group by request_id
    ) as counted
        on
            subjects.request_id = counted.request_id
            and subjects.recorded_at <= counted.recorded_at
    where counted.request_id is {{ 'not ' if is_counted }}null
{%- endmacro %}
