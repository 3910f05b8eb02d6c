{# What a model is worth beside two that cost nothing: the majority rule, which says of every example how frequent each label was
   in training, and the linear model of the same dataset and vectors. On the test examples of the dataset's current snapshot. #}
{%- set keys = ['model_id', 'evaluation_snapshot_id'] %}
{%- set drawn = "'" ~ drawn_metric_names() | join("', '") ~ "'" %}

with classifier_models as (
    select * from {{ ref('classifier_models') }}
),

current_snapshots as (
    select * from {{ ref('current_snapshots') }}
),

metrics as (
    select metrics.*
    from {{ ref('classifier_metrics') }} as metrics
    inner join current_snapshots
        on metrics.evaluation_snapshot_id = current_snapshots.snapshot_id
    where metrics.split = 'test' and metrics.metric not in ('coverage', 'selective_accuracy')
),

linear_baselines as (
    select * from {{ ref('linear_baselines') }}
),

paired_metrics as (
    select * from {{ ref('paired_metrics') }}
),

label_counts as (
    select
        snapshot_id,
        label,
        count(*) as label_count
    from {{ ref('dataset_snapshots') }}
    where split = 'train'
    group by snapshot_id, label
),

label_shares as (
    select
        classifier_models.model_id,
        label_counts.label,
        label_counts.label_count / sum(label_counts.label_count) over (partition by classifier_models.model_id) as label_share,
        row_number() over (
            partition by classifier_models.model_id
            order by label_counts.label_count desc, label_counts.label asc
        ) as place
    from classifier_models
    inner join label_counts
        on classifier_models.snapshot_id = label_counts.snapshot_id
),

majority_examples as (
    select
        examples.model_id,
        examples.evaluation_snapshot_id,
        examples.object_id,
        examples.label,
        label_shares.label as predicted_label,
        label_shares.label_share as probability,
        examples.label = label_shares.label as is_correct,
        false as is_uncertain
    from {{ ref('scored_examples') }} as examples
    inner join current_snapshots
        on examples.evaluation_snapshot_id = current_snapshots.snapshot_id
    inner join label_shares
        on
            examples.model_id = label_shares.model_id
            and label_shares.place = 1
    where examples.split = 'test'
),

majority_probabilities as (
    select
        classes.model_id,
        classes.evaluation_snapshot_id,
        classes.object_id,
        classes.class_label,
        classes.is_label,
        classes.is_judged,
        coalesce(label_shares.label_share, 0) as probability
    from {{ ref('scored_classes') }} as classes
    inner join current_snapshots
        on classes.evaluation_snapshot_id = current_snapshots.snapshot_id
    left join label_shares
        on
            classes.model_id = label_shares.model_id
            and classes.class_label = label_shares.label
    where classes.split = 'test'
),

majority_classes as (
    {{ class_errors('majority_probabilities') | indent(4) }}
),

majority_measured as (
    {{ classification_metrics('majority_examples', 'majority_classes', keys) | indent(4) }}
),

majority_metrics as (
    {{- one_row_per_metric('majority_measured', keys, classification_metric_names()) }}
),

compared as (
    select
        metrics.model_id,
        metrics.classifier_id,
        metrics.evaluation_snapshot_id,
        metrics.metric,
        'majority_rule' as baseline,
        cast(null as string) as baseline_model_id,
        metrics.value,
        majority_metrics.value as baseline_value,
        metrics.value - majority_metrics.value as difference,
        cast(null as {{ float_type() }}) as difference_lower,
        cast(null as {{ float_type() }}) as difference_upper
    from metrics
    inner join majority_metrics
        on
            metrics.model_id = majority_metrics.model_id
            and metrics.evaluation_snapshot_id = majority_metrics.evaluation_snapshot_id
            and metrics.metric = majority_metrics.metric
    union all
    select
        metrics.model_id,
        metrics.classifier_id,
        metrics.evaluation_snapshot_id,
        metrics.metric,
        'linear' as baseline,
        linear_baselines.baseline_model_id,
        metrics.value,
        baseline_metrics.value as baseline_value,
        case
            when metrics.metric in ({{ drawn }}) then paired_metrics.difference
            else metrics.value - baseline_metrics.value
        end as difference,
        paired_metrics.difference_lower,
        paired_metrics.difference_upper
    from metrics
    inner join linear_baselines
        on metrics.model_id = linear_baselines.model_id
    inner join metrics as baseline_metrics
        on
            linear_baselines.baseline_model_id = baseline_metrics.model_id
            and metrics.evaluation_snapshot_id = baseline_metrics.evaluation_snapshot_id
            and metrics.metric = baseline_metrics.metric
    left join paired_metrics
        on
            linear_baselines.model_id = paired_metrics.model_id
            and linear_baselines.baseline_model_id = paired_metrics.compared_model_id
            and metrics.evaluation_snapshot_id = paired_metrics.evaluation_snapshot_id
            and metrics.metric = paired_metrics.metric
)

select * from compared
