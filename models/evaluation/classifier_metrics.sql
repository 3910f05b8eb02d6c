{# The metrics of scikit-learn, from counts and sums. A metric that these rows do not define is
   null, never a number that looks like a bad model. What unknown labels do: see scored_classes. #}
{%- set metrics = ['roc_auc', 'pr_auc', 'log_loss', 'brier', 'ece', 'accuracy', 'macro_f1'] -%}
{%- set keys = ['model_id', 'evaluation_snapshot_id', 'split'] %}

with examples as (
    select * from {{ ref('scored_examples') }}
),

scored_classes as (
    select * from {{ ref('scored_classes') }}
),

confusion as (
    select * from {{ ref('classifier_confusion') }}
),

calibration as (
    select * from {{ ref('classifier_calibration') }}
),

evaluations as (
    select
        model_id,
        classifier_id,
        task,
        evaluation_snapshot_id,
        split,
        count(*) as example_count
    from examples
    group by model_id, classifier_id, task, evaluation_snapshot_id, split
),

-- equal probabilities are one threshold: their order is nobody's
thresholds as (
    select
        model_id,
        evaluation_snapshot_id,
        split,
        class_label,
        probability,
        count(case when is_label then 1 end) as positives,
        count(case when not is_label then 1 end) as negatives
    from scored_classes
    where is_judged
    group by model_id, evaluation_snapshot_id, split, class_label, probability
),

ranks as (
    {{ ranking('thresholds', keys) | indent(4) }}
),

losses as (
    select
        model_id,
        evaluation_snapshot_id,
        split,
        avg(log_loss) as log_loss,
        sum(case when is_judged then squared_error end) / count(distinct object_id) as brier
    from scored_classes
    group by model_id, evaluation_snapshot_id, split
),

calibration_error as (
    select
        model_id,
        evaluation_snapshot_id,
        split,
        sum(example_count * abs(accuracy - mean_probability)) / sum(example_count) as ece
    from calibration
    group by model_id, evaluation_snapshot_id, split
),

-- each cell counts once for its label and once for its predicted label
counts_by_class as (
    select
        model_id,
        evaluation_snapshot_id,
        split,
        label as class_label,
        example_count as labelled,
        0 as predicted,
        case when label = predicted_label then example_count else 0 end as correct
    from confusion
    union all
    select
        model_id,
        evaluation_snapshot_id,
        split,
        predicted_label as class_label,
        0 as labelled,
        example_count as predicted,
        0 as correct
    from confusion
),

decisions_by_class as (
    select
        model_id,
        evaluation_snapshot_id,
        split,
        class_label,
        sum(labelled) as labelled,
        sum(correct) as correct,
        -- null for a class that is neither a label nor predicted: it is not averaged
        2 * sum(correct) / nullif(sum(labelled) + sum(predicted), 0) as f1
    from counts_by_class
    group by model_id, evaluation_snapshot_id, split, class_label
),

decisions as (
    select
        model_id,
        evaluation_snapshot_id,
        split,
        sum(correct) / sum(labelled) as accuracy,
        avg(f1) as macro_f1
    from decisions_by_class
    group by model_id, evaluation_snapshot_id, split
),

measured as (
    select
        evaluations.model_id,
        evaluations.classifier_id,
        evaluations.task,
        evaluations.evaluation_snapshot_id,
        evaluations.split,
        ranks.roc_auc,
        ranks.pr_auc,
        losses.log_loss,
        losses.brier,
        calibration_error.ece,
        decisions.accuracy,
        decisions.macro_f1,
        evaluations.example_count
    from evaluations
    inner join ranks
        on
            evaluations.model_id = ranks.model_id
            and evaluations.evaluation_snapshot_id = ranks.evaluation_snapshot_id
            and evaluations.split = ranks.split
    inner join losses
        on
            evaluations.model_id = losses.model_id
            and evaluations.evaluation_snapshot_id = losses.evaluation_snapshot_id
            and evaluations.split = losses.split
    inner join calibration_error
        on
            evaluations.model_id = calibration_error.model_id
            and evaluations.evaluation_snapshot_id = calibration_error.evaluation_snapshot_id
            and evaluations.split = calibration_error.split
    inner join decisions
        on
            evaluations.model_id = decisions.model_id
            and evaluations.evaluation_snapshot_id = decisions.evaluation_snapshot_id
            and evaluations.split = decisions.split
),

one_row_per_metric as (
    {%- for metric in metrics %}
    select
        model_id,
        classifier_id,
        task,
        evaluation_snapshot_id,
        split,
        '{{ metric }}' as metric,
        cast({{ metric }} as {{ float_type() }}) as value,
        example_count
    from measured
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
),

intervals as (
    select * from {{ ref('metric_intervals') }}
),

with_intervals as (
    select
        one_row_per_metric.model_id,
        one_row_per_metric.classifier_id,
        one_row_per_metric.task,
        one_row_per_metric.evaluation_snapshot_id,
        one_row_per_metric.split,
        one_row_per_metric.metric,
        one_row_per_metric.value,
        intervals.value_lower,
        intervals.value_upper,
        one_row_per_metric.example_count
    from one_row_per_metric
    left join intervals
        on
            one_row_per_metric.model_id = intervals.model_id
            and one_row_per_metric.evaluation_snapshot_id = intervals.evaluation_snapshot_id
            and one_row_per_metric.metric = intervals.metric
            and one_row_per_metric.split = 'test'
)

select * from with_intervals
