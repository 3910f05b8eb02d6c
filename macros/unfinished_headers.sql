{# The headers that a killed build left without their rows: neither rows nor a removal make up their count, and no model has
   learned from them. A snapshot that has models and lost its rows was tampered with: its header stays, and the build fails.
   Usage: select snapshot_id from ({{ unfinished_headers(headers, snapshots) }}) #}
{% macro unfinished_headers(headers, snapshots) -%}
{%- set records = held_relation('training_records') -%}
select headers.snapshot_id
from {{ headers }} as headers
where
    headers.example_count > 0
    and headers.snapshot_id not in (select snapshot_id from {{ snapshots }})
    {%- if records %}
    and headers.snapshot_id not in (select snapshot_id from {{ records }} where snapshot_id is not null)
    {%- endif %}
    {%- if is_incremental() %}
    and headers.snapshot_id not in (
        select snapshot_id
        from {{ this }}
        where table_name = 'dataset_snapshots' and snapshot_id is not null
    )
    {%- endif %}
{%- endmacro %}
