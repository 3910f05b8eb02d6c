{# Zero cells are rows too: nobody has to know the classes to see that something never happened. #}
with examples as (
    select * from {{ ref('scored_examples') }}
),

scored_classes as (
    select * from {{ ref('scored_classes') }}
),

classes_in_question as (
    select distinct
        model_id,
        evaluation_snapshot_id,
        split,
        class_label
    from scored_classes
),

evaluations as (
    select distinct
        model_id,
        classifier_id,
        task,
        evaluation_snapshot_id,
        split
    from examples
),

cells as (
    select
        evaluations.model_id,
        evaluations.classifier_id,
        evaluations.task,
        evaluations.evaluation_snapshot_id,
        evaluations.split,
        labels.class_label as label,
        predictions.class_label as predicted_label
    from evaluations
    inner join classes_in_question as labels
        on
            evaluations.model_id = labels.model_id
            and evaluations.evaluation_snapshot_id = labels.evaluation_snapshot_id
            and evaluations.split = labels.split
    inner join classes_in_question as predictions
        on
            evaluations.model_id = predictions.model_id
            and evaluations.evaluation_snapshot_id = predictions.evaluation_snapshot_id
            and evaluations.split = predictions.split
),

counts as (
    select
        model_id,
        evaluation_snapshot_id,
        split,
        label,
        predicted_label,
        count(*) as example_count
    from examples
    group by model_id, evaluation_snapshot_id, split, label, predicted_label
),

confusion as (
    select
        cells.model_id,
        cells.classifier_id,
        cells.task,
        cells.evaluation_snapshot_id,
        cells.split,
        cells.label,
        cells.predicted_label,
        coalesce(counts.example_count, 0) as example_count
    from cells
    left join counts
        on
            cells.model_id = counts.model_id
            and cells.evaluation_snapshot_id = counts.evaluation_snapshot_id
            and cells.split = counts.split
            and cells.label = counts.label
            and cells.predicted_label = counts.predicted_label
)

select * from confusion
