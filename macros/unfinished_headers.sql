{# The headers that a killed build left without their rows: neither rows nor a removal make up their count, and no model has
   learned from them. A snapshot that has models and lost its rows was tampered with: its header stays, and the build fails.
   In erasure_records only, where there are headers. Usage: select snapshot_id from ({{ unfinished_headers() }}) #}
{% macro unfinished_headers() -%}
{%- set snapshots = held_relation('dataset_snapshots') -%}
{%- set records = held_relation('training_records') -%}
select headers.snapshot_id
from {{ held_relation('dataset_headers') }} as headers
where
    headers.example_count > 0
    {%- if snapshots %}
    and headers.snapshot_id not in (select snapshot_id from {{ snapshots }})
    {%- endif %}
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
