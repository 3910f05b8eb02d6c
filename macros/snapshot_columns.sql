{# The columns of a snapshot's rows that its header's fingerprint covers, with their types: the one list of them. #}
{% macro snapshot_columns() %}
    {{ return({
        'object_id': 'string',
        'object_version': 'string',
        'split_group_id': 'string',
        'split': 'string',
        'label': 'string',
        'label_rule': 'string',
        'selected_by': 'string',
        'label_known_at': 'timestamp',
    }) }}
{% endmacro %}
