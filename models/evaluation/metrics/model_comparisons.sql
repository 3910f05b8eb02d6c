{# Which models are compared, and on which examples: on those of the current test split that both may be examined on. A model
   beside itself is examined on all of its own, of past snapshots too, whose draws are found by them. #}
with scored_examples as (
    select * from {{ ref('scored_examples') }}
),

current_snapshots as (
    select * from {{ ref('current_snapshots') }}
),

classifier_models as (
    select * from {{ ref('classifier_models') }}
),

eligible_models as (
    select * from {{ ref('eligible_models') }}
),

linear_baselines as (
    select * from {{ ref('linear_baselines') }}
),

pairs as (
    select
        model_id,
        model_id as compared_model_id
    from classifier_models
    union distinct
    select
        model_id,
        baseline_model_id as compared_model_id
    from linear_baselines
    union distinct
    -- the gate asks about the one that answers, which is one of these
    select
        candidates.model_id,
        others.model_id as compared_model_id
    from eligible_models as candidates
    inner join eligible_models as others
        on candidates.classifier_id = others.classifier_id
    where candidates.preference = 1 and candidates.is_wanted
),

examples as (
    select
        scored_examples.model_id,
        scored_examples.evaluation_snapshot_id,
        scored_examples.object_id,
        scored_examples.split_group_id,
        current_snapshots.snapshot_id is not null as is_current
    from scored_examples
    left join current_snapshots
        on scored_examples.evaluation_snapshot_id = current_snapshots.snapshot_id
    where scored_examples.split = 'test'
),

comparisons as (
    select
        pairs.model_id,
        pairs.compared_model_id,
        own.evaluation_snapshot_id,
        own.is_current,
        cast(sum(mod({{ hash_to_int64('own.object_id') }}, 1000000007)) as int64) as examples_hash,
        cast(count(*) as int64) as example_count,
        cast(count(distinct own.split_group_id) as int64) as customer_count
    from pairs
    inner join examples as own
        on pairs.model_id = own.model_id
    inner join examples as compared
        on
            pairs.compared_model_id = compared.model_id
            and own.evaluation_snapshot_id = compared.evaluation_snapshot_id
            and own.object_id = compared.object_id
    where own.is_current or pairs.model_id = pairs.compared_model_id
    group by pairs.model_id, pairs.compared_model_id, own.evaluation_snapshot_id, own.is_current
)

select * from comparisons
