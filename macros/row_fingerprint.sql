{# A number per row, wide enough to be summed, whose sum over a table is the same in any order, so that rows left + rows removed = what was recorded.
   Usage: sum({{ row_fingerprint(frozen_columns().dataset_snapshots) }}) #}
{% macro row_fingerprint(columns) -%}
    cast({{ hash_to_int64(row_text(columns)) }} as {{ sum_type() }})
{%- endmacro %}
