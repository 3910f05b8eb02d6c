{# The metrics of scikit-learn, from counts and sums. A metric that these rows do not define is
   null, never a number that looks like a bad model. What unknown labels do: see scored_classes. #}
{%- set metrics = ['roc_auc', 'pr_auc', 'log_loss', 'brier', 'ece', 'accuracy', 'macro_f1'] -%}
{%- set epsilon = '2.220446049250313e-16' %}

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

cumulated as (
    select
        model_id,
        evaluation_snapshot_id,
        split,
        class_label,
        positives,
        negatives,
        sum(positives) over down_to_here as positives_so_far,
        sum(negatives) over down_to_here as negatives_so_far
    from thresholds
    window down_to_here as (
        partition by model_id, evaluation_snapshot_id, split, class_label
        order by probability desc
        rows between unbounded preceding and current row
    )
),

-- roc: of all pairs of a positive and a negative the share with the positive above; a tie is half
-- pr: the precision at each threshold, weighted with the positives that it adds
ranking_by_class as (
    select
        model_id,
        evaluation_snapshot_id,
        split,
        class_label,
        sum(negatives * (positives_so_far - positives / 2))
        / nullif(sum(positives) * sum(negatives), 0) as roc_auc,
        sum(positives * positives_so_far / (positives_so_far + negatives_so_far))
        / nullif(sum(positives), 0) as pr_auc
    from cumulated
    group by model_id, evaluation_snapshot_id, split, class_label
),

-- the mean over the classes is undefined as soon as one of them is
ranking as (
    select
        model_id,
        evaluation_snapshot_id,
        split,
        case when count(roc_auc) = count(*) then avg(roc_auc) end as roc_auc,
        case when count(pr_auc) = count(*) then avg(pr_auc) end as pr_auc
    from ranking_by_class
    group by model_id, evaluation_snapshot_id, split
),

errors as (
    select
        model_id,
        evaluation_snapshot_id,
        object_id,
        split,
        power(probability - case when is_label then 1 else 0 end, 2) as squared_error,
        -- scikit-learn's epsilon, the distance from 1 to the next double
        greatest({{ epsilon }}, least(1 - {{ epsilon }}, probability)) as clipped_probability,
        is_label,
        is_judged
    from scored_classes
),

losses as (
    select
        model_id,
        evaluation_snapshot_id,
        split,
        avg(case when is_label then -ln(clipped_probability) end) as log_loss,
        sum(case when is_judged then squared_error end) / count(distinct object_id) as brier
    from errors
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
        ranking.roc_auc,
        ranking.pr_auc,
        losses.log_loss,
        losses.brier,
        calibration_error.ece,
        decisions.accuracy,
        decisions.macro_f1,
        evaluations.example_count
    from evaluations
    inner join ranking
        on
            evaluations.model_id = ranking.model_id
            and evaluations.evaluation_snapshot_id = ranking.evaluation_snapshot_id
            and evaluations.split = ranking.split
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
)

select * from one_row_per_metric
