{# The models that the registry and the current snapshots call for, trained or not: the trainer skips those it has. #}
{%- set trainer_version = '4' -%}
{%- set seed = 1 -%}
{%- set example_columns = frozen_columns().dataset_snapshots -%}
{%- do example_columns.pop('split') -%}

with classifiers as (
    select * from {{ ref('classifiers') }}
    where state <> 'off'
),

encoders as (
    select * from {{ ref('encoders') }}
),

current_snapshots as (
    select * from {{ ref('current_snapshots') }}
),

coverage as (
    select * from {{ ref('dataset_coverage') }}
),

{%- for split in ['train', 'validation'] %}

{{ split }}_sums as (
    select
        snapshot_id,
        encoder_fingerprint,
        {%- if split == 'train' %}
        array_agg(distinct label order by label) as classes,
        {%- endif %}
        count(*) as example_count,
        sum({{ row_fingerprint(example_columns) }}) as fingerprint
    from {{ ref('dataset_' ~ split) }}
    group by snapshot_id, encoder_fingerprint
),
{%- endfor %}

wanted as (
    select
        classifiers.classifier_id,
        classifiers.dataset_id,
        current_snapshots.task,
        current_snapshots.snapshot_id,
        classifiers.encoder_id,
        encoders.encoder_fingerprint,
        classifiers.architecture,
        classifiers.positive_label,
        '{{ trainer_version }}' as trainer_version,
        train_sums.classes,
        classifiers.hidden_units,
        encoders.embedding_dim,
        cast({{ seed }} as int64) as seed,
        coalesce(train_sums.example_count, 0) as train_count,
        coalesce(validation_sums.example_count, 0) as validation_count,
        classifiers.weight_decay,
        classifiers.class_weighting,
        classifiers.threshold_rule,
        classifiers.threshold_value,
        classifiers.abstain_band,
        -- only what is left of the snapshot and has a vector: erasing an example or gaining a vector asks for another model
        {{ sum_text('train_sums.fingerprint') }} as train_fingerprint,
        {{ sum_text('validation_sums.fingerprint') }} as validation_fingerprint,
        coverage.coverage,
        current_snapshots.as_of as snapshot_as_of
    from classifiers
    inner join encoders
        on classifiers.encoder_id = encoders.encoder_id
    inner join current_snapshots
        on classifiers.dataset_id = current_snapshots.dataset_id
    left join train_sums
        on
            current_snapshots.snapshot_id = train_sums.snapshot_id
            and encoders.encoder_fingerprint = train_sums.encoder_fingerprint
    left join coverage
        on
            current_snapshots.snapshot_id = coverage.snapshot_id
            and encoders.encoder_fingerprint = coverage.encoder_fingerprint
    left join validation_sums
        on
            current_snapshots.snapshot_id = validation_sums.snapshot_id
            and encoders.encoder_fingerprint = validation_sums.encoder_fingerprint
),

queued as (
    select
        {{ row_hash({
            'classifier_id': 'string', 'dataset_id': 'string', 'train_fingerprint': 'string',
            'validation_fingerprint': 'string', 'encoder_fingerprint': 'string', 'architecture': 'string',
            'positive_label': 'string', 'trainer_version': 'string', 'hidden_units': 'int64', 'seed': 'int64',
            'weight_decay': 'double', 'class_weighting': 'string', 'threshold_rule': 'string',
            'threshold_value': 'double', 'abstain_band': 'double',
        }) }} as model_id,
        classifier_id,
        dataset_id,
        task,
        snapshot_id,
        encoder_id,
        encoder_fingerprint,
        architecture,
        positive_label,
        trainer_version,
        classes,
        case
            when train_count = 0 then 'no_training_examples'
            when coverage < {{ var('least_coverage') }} then 'too_few_vectors'
            when {{ vector_length('classes') }} < 2 then 'one_class_only'
            -- the snapshot is of a time when the task had more labels
            when positive_label is not null and {{ vector_length('classes') }} > 2 then 'more_than_two_classes'
        end as blocked_by,
        hidden_units,
        embedding_dim,
        seed,
        train_count,
        validation_count,
        weight_decay,
        class_weighting,
        threshold_rule,
        threshold_value,
        abstain_band,
        snapshot_as_of
    from wanted
)

select * from queued
