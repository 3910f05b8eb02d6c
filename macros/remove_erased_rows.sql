{# The statements that remove what erasure_records, the model that this stands in, has counted; nothing where nothing is pending.
   Usage: post_hook = "{{ remove_erased_rows() }}" #}
{% macro remove_erased_rows() -%}
{%- if erasure_is_pending() -%}
    {%- for table in tables_with_subjects() if table.relation %}
delete from {{ table.relation }}
where {{ subject_hash(table.scope, table.column) }} in (select subject_hash from ({{ counted_subjects(true) }}) as counted);
    {%- endfor -%}
    {%- set headers = held_relation('dataset_headers') %}
    {%- if headers %}
delete from {{ headers }}
where
    snapshot_id in (select snapshot_id from {{ this }} where table_name = 'dataset_headers')
    and snapshot_id in ({{ unfinished_headers() }});
    {%- endif -%}
{%- endif -%}
{%- endmacro %}
