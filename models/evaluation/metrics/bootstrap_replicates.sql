{# What each metric is, and what it would have been, had the test split been drawn again: whole customers are drawn, by a hash. So
   the same draws judge every model, on every engine, and two models can be compared draw by draw. Drawn once for a model and a
   set of examples on which it is compared, and again when there are others: vectors may arrive later, and examples be erased. #}
{{ config(materialized = 'incremental') }}

{%- set keys = ['model_id', 'evaluation_snapshot_id', 'examples_hash', 'replicate'] %}

with comparisons as (
    select * from {{ ref('model_comparisons') }}
    where is_current
),

classes as (
    select * from {{ ref('scored_classes') }}
    where split = 'test'
),

examples as (
    select * from {{ ref('scored_examples') }}
    where split = 'test'
),

both_ways as (
    select
        model_id,
        compared_model_id,
        evaluation_snapshot_id,
        examples_hash
    from comparisons
    union distinct
    select
        compared_model_id as model_id,
        model_id as compared_model_id,
        evaluation_snapshot_id,
        examples_hash
    from comparisons
),

-- most models are compared on the same examples with one as with another
example_sets as (
    select *
    from both_ways
    qualify row_number() over (
        partition by model_id, evaluation_snapshot_id, examples_hash
        order by compared_model_id
    ) = 1
),

new_sets as (
    select * from example_sets
    {%- if is_incremental() %}
    where
        not exists (
            select 1
            from {{ this }} as held
            where
                held.model_id = example_sets.model_id
                and held.evaluation_snapshot_id = example_sets.evaluation_snapshot_id
                and held.examples_hash = example_sets.examples_hash
                and held.draw_count = {{ var('bootstrap_replicates') }}
        )
    {%- endif %}
),

new_classes as (
    select
        classes.*,
        new_sets.examples_hash
    from new_sets
    inner join examples
        on
            new_sets.compared_model_id = examples.model_id
            and new_sets.evaluation_snapshot_id = examples.evaluation_snapshot_id
    inner join classes
        on
            new_sets.model_id = classes.model_id
            and new_sets.evaluation_snapshot_id = classes.evaluation_snapshot_id
            and examples.object_id = classes.object_id
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
    union all
    -- the customers as they are
    select
        split_group_id,
        0 as replicate,
        1 as weight
    from customers
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
        cast(ranks.roc_auc_of_labels as {{ float_type() }}) as roc_auc_of_labels,
        cast(ranks.pr_auc as {{ float_type() }}) as pr_auc,
        cast(means.log_loss as {{ float_type() }}) as log_loss,
        cast(means.brier as {{ float_type() }}) as brier,
        cast(means.accuracy as {{ float_type() }}) as accuracy
    from means
    inner join ranks
        on
            means.model_id = ranks.model_id
            and means.evaluation_snapshot_id = ranks.evaluation_snapshot_id
            and means.examples_hash = ranks.examples_hash
            and means.replicate = ranks.replicate
)

select
    *,
    {{ utc_now() }} as drawn_at
from replicates
