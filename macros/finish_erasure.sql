{# The statement that records, after the removal, that a request is finished; in erasure_records only. #}
{% macro finish_erasure() -%}
{%- if erasure_is_pending() -%}
insert into {{ this }} (request_id, record_type, recorded_at)
select distinct
    request_id,
    'erased' as record_type,
    {{ utc_now() }} as recorded_at
from {{ this }}
where
    request_id in (select event_id from {{ ref('stg_erasure_requests') }})
    and request_id not in (select request_id from {{ this }} where record_type = 'erased')
{%- endif -%}
{%- endmacro %}
