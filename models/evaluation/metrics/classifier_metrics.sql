{# The metrics of scikit-learn, from counts and sums. What unknown labels do: see scored_classes. #}
{%- set keys = ['model_id', 'evaluation_snapshot_id', 'split'] %}

with examples as (
    select * from {{ ref('scored_examples') }}
),

scored_classes as (
    select * from {{ ref('scored_classes') }}
),

classifier_models as (
    select * from {{ ref('classifier_models') }}
),

intervals as (
    select * from {{ ref('paired_metrics') }}
    where compared_model_id = model_id
),

measured as (
    {{ classification_metrics('examples', 'scored_classes', keys) | indent(4) }}
),

metrics as (
    {{- one_row_per_metric('measured', keys, classification_metric_names(), beside = ['example_count']) }}
),

with_intervals as (
    select
        metrics.model_id,
        classifier_models.classifier_id,
        classifier_models.task,
        metrics.evaluation_snapshot_id,
        metrics.split,
        metrics.metric,
        metrics.value,
        intervals.value_lower,
        intervals.value_upper,
        metrics.example_count
    from metrics
    inner join classifier_models
        on metrics.model_id = classifier_models.model_id
    left join intervals
        on
            metrics.model_id = intervals.model_id
            and metrics.evaluation_snapshot_id = intervals.evaluation_snapshot_id
            and metrics.metric = intervals.metric
            and metrics.split = 'test'
)

select * from with_intervals
