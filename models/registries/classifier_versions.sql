{{ config(materialized = 'incremental', full_refresh = false) }}

{{ registry_versions('classifiers', {
    'classifier_id': 'string',
    'dataset_id': 'string',
    'encoder_id': 'string',
    'architecture': 'string',
    'positive_label': 'string',
    'state': 'string',
    'owner': 'string',
    'hidden_units': 'int64',
    'weight_decay': 'double',
    'class_weighting': 'string',
    'threshold_rule': 'string',
    'threshold_value': 'double',
    'abstain_band': 'double',
    'gate_margin': 'double',
    'gate_largest_ece': 'double',
}) }}
