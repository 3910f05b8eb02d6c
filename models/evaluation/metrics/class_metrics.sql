{# Each class against the others: also of two classes both, where the metrics of the whole judge the positive one. #}
{%- set keys = ['model_id', 'evaluation_snapshot_id', 'split'] -%}
{%- set class_keys = keys + ['class_label'] -%}
{%- set metric_names = ['precision', 'recall', 'f1', 'roc_auc', 'pr_auc'] %}

with examples as (
    select * from {{ ref('scored_examples') }}
),

scored_classes as (
    select * from {{ ref('scored_classes') }}
),

classifier_models as (
    select * from {{ ref('classifier_models') }}
),

thresholds as (
    {{ class_thresholds('scored_classes', keys) | indent(4) }}
),

ranks as (
    {{ ranking_by_class('thresholds', keys) | indent(4) }}
),

decisions as (
    {{ decisions_by_class('examples', keys) | indent(4) }}
),

-- a class that is neither a label nor predicted has ranks and no decisions
measured as (
    select
        ranks.model_id,
        ranks.evaluation_snapshot_id,
        ranks.split,
        ranks.class_label,
        ranks.roc_auc,
        ranks.pr_auc,
        decisions.precision,
        decisions.recall,
        decisions.f1,
        coalesce(decisions.labelled, 0) as label_count
    from ranks
    left join decisions
        on
            ranks.model_id = decisions.model_id
            and ranks.evaluation_snapshot_id = decisions.evaluation_snapshot_id
            and ranks.split = decisions.split
            and ranks.class_label = decisions.class_label
),

metrics as (
    {{- one_row_per_metric('measured', class_keys, metric_names, beside = ['label_count']) }}
),

of_classifiers as (
    select
        metrics.model_id,
        classifier_models.classifier_id,
        classifier_models.task,
        metrics.evaluation_snapshot_id,
        metrics.split,
        metrics.class_label,
        metrics.metric,
        metrics.value,
        cast(metrics.label_count as int64) as label_count
    from metrics
    inner join classifier_models
        on metrics.model_id = classifier_models.model_id
)

select * from of_classifiers
