{# Whether a row of dataset_snapshots stands behind one of the doors. An example that a model picked for review may teach models, but
   neither choose among them nor grade them. #}
{% macro is_behind_a_door() -%}
    (split = 'train' or (split in ('validation', 'test') and selected_by <> 'review_queue'))
{%- endmacro %}
