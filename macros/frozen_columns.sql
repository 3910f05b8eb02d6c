{# The columns of what a snapshot froze that sums in its header cover, with their types: of its rows, and of the candidates that they
   were chosen from. The one list of them. Usage: {{ row_fingerprint(frozen_columns().dataset_snapshots) }} #}
{% macro frozen_columns() %}
    {%- set example = {
        'object_id': 'string',
        'object_version': 'string',
        'split_group_id': 'string',
        'split': 'string',
        'label': 'string',
        'label_rule': 'string',
        'selected_by': 'string',
        'label_known_at': 'timestamp',
    } -%}
    {{ return({
        'dataset_snapshots': example,
        'dataset_candidates': dict(
            example,
            account_status = 'string',
            exclusion_reason = 'string',
            raw_event_count = 'int64',
            object_created_at = 'timestamp',
            label_due_at = 'timestamp',
        ),
    }) }}
{% endmacro %}
