{# What two models that are compared come to on the examples that they have in common. From draw to draw both meet the same
   customers, so that the interval of their difference is narrower than theirs apart. #}
{%- set keys = ['model_id', 'compared_model_id', 'evaluation_snapshot_id', 'metric'] %}

with comparisons as (
    select * from {{ ref('model_comparisons') }}
),

replicates as (
    select * from {{ ref('bootstrap_replicates') }}
    where draw_count = {{ var('bootstrap_replicates') }}
),

replicate_metrics as (
    {{- one_row_per_metric(
        'replicates', ['model_id', 'evaluation_snapshot_id', 'examples_hash', 'replicate'], drawn_metric_names()
    ) }}
),

paired as (
    select
        comparisons.model_id,
        comparisons.compared_model_id,
        comparisons.evaluation_snapshot_id,
        own.metric,
        own.replicate,
        comparisons.example_count,
        comparisons.customer_count,
        own.value,
        compared.value as compared_value,
        own.value - compared.value as difference
    from comparisons
    inner join replicate_metrics as own
        on
            comparisons.model_id = own.model_id
            and comparisons.evaluation_snapshot_id = own.evaluation_snapshot_id
            and comparisons.examples_hash = own.examples_hash
    inner join replicate_metrics as compared
        on
            comparisons.compared_model_id = compared.model_id
            and comparisons.evaluation_snapshot_id = compared.evaluation_snapshot_id
            and comparisons.examples_hash = compared.examples_hash
            and own.replicate = compared.replicate
            and own.metric = compared.metric
),

value_intervals as (
    {{ draw_intervals('paired', keys) | indent(4) }}
),

difference_intervals as (
    {{ draw_intervals('paired', keys, column = 'difference') | indent(4) }}
),

-- the customers as they are
undrawn as (
    select * from paired
    where replicate = 0
),

with_intervals as (
    select
        undrawn.model_id,
        undrawn.compared_model_id,
        undrawn.evaluation_snapshot_id,
        undrawn.metric,
        undrawn.example_count,
        undrawn.customer_count,
        undrawn.value,
        value_intervals.value_lower,
        value_intervals.value_upper,
        undrawn.compared_value,
        undrawn.difference,
        difference_intervals.difference_lower,
        difference_intervals.difference_upper
    from undrawn
    left join value_intervals
        on
            undrawn.model_id = value_intervals.model_id
            and undrawn.compared_model_id = value_intervals.compared_model_id
            and undrawn.evaluation_snapshot_id = value_intervals.evaluation_snapshot_id
            and undrawn.metric = value_intervals.metric
    left join difference_intervals
        on
            undrawn.model_id = difference_intervals.model_id
            and undrawn.compared_model_id = difference_intervals.compared_model_id
            and undrawn.evaluation_snapshot_id = difference_intervals.evaluation_snapshot_id
            and undrawn.metric = difference_intervals.metric
)

select * from with_intervals
