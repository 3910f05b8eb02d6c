{# The headers that a killed build left without their rows: neither rows nor a removal make up their count.
   Usage: select snapshot_id from ({{ unfinished_headers(headers, snapshots) }}) #}
{% macro unfinished_headers(headers, snapshots) -%}
select headers.snapshot_id
from {{ headers }} as headers
where
    headers.example_count > 0
    and headers.snapshot_id not in (select snapshot_id from {{ snapshots }})
    {%- if is_incremental() %}
    and headers.snapshot_id not in (
        select snapshot_id
        from {{ this }}
        where table_name = 'dataset_snapshots' and snapshot_id is not null
    )
    {%- endif %}
{%- endmacro %}
