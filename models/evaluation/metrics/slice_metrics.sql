{# Where a model is better or worse than on the whole. #}
{%- set keys = ['model_id', 'evaluation_snapshot_id', 'slice', 'slice_value'] %}

with example_slices as (
    select * from {{ ref('example_slices') }}
),

classifier_models as (
    select * from {{ ref('classifier_models') }}
),
{%- for relation in ['scored_examples', 'scored_classes'] %}

sliced_{{ relation }} as (
    select
        {{ relation }}.*,
        example_slices.slice,
        example_slices.slice_value
    from {{ ref(relation) }} as {{ relation }}
    inner join example_slices
        on
            {{ relation }}.evaluation_snapshot_id = example_slices.snapshot_id
            and {{ relation }}.object_id = example_slices.object_id
    where {{ relation }}.split = 'test'
),
{%- endfor %}

measured as (
    {{ classification_metrics('sliced_scored_examples', 'sliced_scored_classes', keys) | indent(4) }}
),

metrics as (
    {{- one_row_per_metric('measured', keys, classification_metric_names(), beside = ['example_count']) }}
),

of_classifiers as (
    select
        metrics.model_id,
        classifier_models.classifier_id,
        classifier_models.task,
        metrics.evaluation_snapshot_id,
        metrics.slice,
        metrics.slice_value,
        metrics.metric,
        metrics.value,
        metrics.example_count
    from metrics
    inner join classifier_models
        on metrics.model_id = classifier_models.model_id
)

select * from of_classifiers
