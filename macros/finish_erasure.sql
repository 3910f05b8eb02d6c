{# The statement that records, after the removal, that it is finished; in erasure_records only. #}
{% macro finish_erasure() -%}
insert into {{ this }} (request_id, record_type, recorded_at)
select
    request_id,
    'erased' as record_type,
    {{ utc_now() }} as recorded_at
from ({{ unfinished_requests() }}) as unfinished
{%- endmacro %}
