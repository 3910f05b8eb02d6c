{# What each model said of each labelled example, beside the label. An example that was erased from
   its snapshot is no longer here, although its score may still be in the ledger. #}
with scores as (
    select * from {{ ref('evaluation_scores') }}
),

classifier_models as (
    select * from {{ ref('classifier_models') }}
),

snapshots as (
    select * from {{ ref('dataset_snapshots') }}
),

labelled as (
    select
        scores.model_id,
        classifier_models.classifier_id,
        classifier_models.task,
        scores.evaluation_snapshot_id,
        scores.object_id,
        scores.object_version,
        scores.event_id,
        snapshots.split_group_id,
        scores.split,
        snapshots.label,
        {{ predicted_label(
            'classifier_models.classes', 'scores.probabilities',
            'classifier_models.positive_label', 'classifier_models.decision_threshold'
        ) }} as predicted_label,
        classifier_models.positive_label,
        classifier_models.decision_threshold,
        classifier_models.abstain_band,
        classifier_models.classes,
        scores.probabilities
    from scores
    inner join classifier_models
        on scores.model_id = classifier_models.model_id
    inner join snapshots
        on
            scores.evaluation_snapshot_id = snapshots.snapshot_id
            and scores.object_id = snapshots.object_id
    -- what a model picked for review must not grade models
    where snapshots.selected_by <> 'review_queue'
),

measured as (
    select
        *,
        {{ array_item('probabilities', array_position('classes', 'predicted_label')) }} as probability,
        {{ array_item('probabilities', array_position('classes', 'positive_label')) }} as positive_probability
    from labelled
),

compared as (
    select
        model_id,
        classifier_id,
        task,
        evaluation_snapshot_id,
        object_id,
        object_version,
        event_id,
        split_group_id,
        split,
        label,
        predicted_label,
        positive_label,
        probability,
        positive_probability,
        label = predicted_label as is_correct,
        {{ is_uncertain('positive_probability', 'decision_threshold', 'abstain_band') }} as is_uncertain,
        classes,
        probabilities
    from measured
)

select * from compared
