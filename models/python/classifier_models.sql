with records as (
    select * from {{ ref('training_records') }}
    where record_type = 'model'
),

classifier_models as (
    select
        model_id,
        classifier_id,
        dataset_id,
        task,
        snapshot_id,
        encoder_id,
        encoder_fingerprint,
        architecture,
        positive_label,
        trainer_version,
        runtime,
        classes,
        hidden_units,
        embedding_dim,
        seed,
        train_count,
        validation_count,
        best_epoch,
        weight_decay,
        class_weighting,
        threshold_rule,
        threshold_value,
        abstain_band,
        decision_threshold,
        temperature,
        snapshot_as_of,
        trained_at
    from records
)

select * from classifier_models
