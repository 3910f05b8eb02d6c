{{ config(materialized = 'incremental', full_refresh = false) }}

{{ registry_versions('datasets', {
    'dataset_id': 'string',
    'task': 'string',
    'modality': 'string',
    'purpose': 'string',
    'cadence': 'string',
    'absence_label': 'string',
    'split_policy': 'string',
    'owner': 'string',
    'window_months': 'int64',
    'label_horizon_hours': 'int64',
}) }}
