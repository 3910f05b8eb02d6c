{# What each metric would have been, had the test split been drawn again: whole customers are drawn, by a hash. So the same draws
   judge every model, on every engine, and two models can be compared draw by draw. Drawn once for a model and its examples of a
   snapshot, and again when there are others: vectors may arrive later, and examples be erased. #}
{{ config(materialized = 'incremental') }}

{%- set keys = ['model_id', 'evaluation_snapshot_id', 'examples_hash', 'replicate'] %}

with current_snapshots as (
    select * from {{ ref('current_snapshots') }}
),

classes as (
    select scored_classes.*
    from {{ ref('scored_classes') }} as scored_classes
    inner join current_snapshots
        on scored_classes.evaluation_snapshot_id = current_snapshots.snapshot_id
    where scored_classes.split = 'test'
),

evaluations as (
    select
        model_id,
        evaluation_snapshot_id,
        cast(sum(mod({{ hash_to_int64('object_id') }}, 1000000007)) as int64) as examples_hash
    from classes
    where is_label
    group by model_id, evaluation_snapshot_id
),

new_evaluations as (
    select * from evaluations
    {%- if is_incremental() %}
    where
        not exists (
            select 1
            from {{ this }} as held
            where
                held.model_id = evaluations.model_id
                and held.evaluation_snapshot_id = evaluations.evaluation_snapshot_id
                and held.examples_hash = evaluations.examples_hash
                and held.draw_count = {{ var('bootstrap_replicates') }}
        )
    {%- endif %}
),

new_classes as (
    select
        classes.*,
        new_evaluations.examples_hash
    from classes
    inner join new_evaluations
        on
            classes.model_id = new_evaluations.model_id
            and classes.evaluation_snapshot_id = new_evaluations.evaluation_snapshot_id
),

customers as (
    select distinct split_group_id from new_classes
),

replicate_numbers as (
    select number as replicate from {{ numbers(var('bootstrap_replicates')) }}
),

draws as (
    select
        customers.split_group_id,
        replicate_numbers.replicate,
        {{ poisson_weight("concat(cast(replicate_numbers.replicate as string), '|', customers.split_group_id)") }} as weight
    from customers
    cross join replicate_numbers
),

drawn as (
    select
        new_classes.*,
        draws.replicate,
        draws.weight
    from new_classes
    inner join draws
        on new_classes.split_group_id = draws.split_group_id
    where draws.weight > 0
),

thresholds as (
    select
        {{ keys | join(', ') }},
        class_label,
        probability,
        sum(case when is_label then weight else 0 end) as positives,
        sum(case when is_label then 0 else weight end) as negatives
    from drawn
    where is_judged
    group by {{ keys | join(', ') }}, class_label, probability
),

ranks as (
    {{ ranking('thresholds', keys) | indent(4) }}
),

means as (
    select
        {{ keys | join(', ') }},
        sum(weight * log_loss) / sum(case when is_label then weight end) as log_loss,
        sum(case when is_judged then weight * squared_error end) / sum(case when is_label then weight end) as brier,
        sum(case when is_label and is_correct then weight else 0 end) / sum(case when is_label then weight end) as accuracy
    from drawn
    group by {{ keys | join(', ') }}
),

replicates as (
    select
        means.model_id,
        means.evaluation_snapshot_id,
        means.examples_hash,
        cast({{ var('bootstrap_replicates') }} as int64) as draw_count,
        cast(means.replicate as int64) as replicate,
        cast(ranks.roc_auc as {{ float_type() }}) as roc_auc,
        cast(ranks.pr_auc as {{ float_type() }}) as pr_auc,
        cast(means.log_loss as {{ float_type() }}) as log_loss,
        cast(means.brier as {{ float_type() }}) as brier,
        cast(means.accuracy as {{ float_type() }}) as accuracy
    from means
    inner join ranks
        on
            means.model_id = ranks.model_id
            and means.evaluation_snapshot_id = ranks.evaluation_snapshot_id
            and means.replicate = ranks.replicate
)

select
    *,
    {{ utc_now() }} as drawn_at
from replicates
