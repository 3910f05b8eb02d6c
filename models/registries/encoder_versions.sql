{{ config(materialized = 'incremental', full_refresh = false) }}

{{ registry_versions('encoders', {
    'encoder_id': 'string',
    'modality': 'string',
    'encoder_fingerprint': 'string',
    'loader': 'string',
    'location': 'string',
    'state': 'string',
    'embedding_dim': 'int64',
    'is_unit_norm': 'boolean',
}) }}
