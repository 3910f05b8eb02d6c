{# The statement that takes candidates of snapshots that were never taken out of dataset_candidates, the model that this stands in. #}
{% macro leave_out_untaken() -%}
{%- set headers = held_relation('dataset_headers') -%}
{%- if is_incremental() -%}
delete from {{ this }}
{%- if headers %}
where snapshot_id not in (select snapshot_id from {{ headers }})
{%- else %}
where true
{%- endif -%}
{%- endif -%}
{%- endmacro %}
