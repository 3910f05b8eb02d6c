{# Who answers, and why. A build takes at most one new model of each classifier into question: the one that a person asks for, or
   else the one that the registry and the current snapshot call for. The gate lets it answer unless it may be worse. #}
{# On a new store nothing is held, and the linter takes the indentation after that for another depth. #}
-- noqa: disable=LT02
{{ config(materialized = 'incremental', full_refresh = false) }}

with eligible as (
    select * from {{ ref('eligible_models') }}
),

classifier_models as (
    select * from {{ ref('classifier_models') }}
),

paired_metrics as (
    select * from {{ ref('paired_metrics') }}
    -- over all classes there would be none as long as one has no test example
    where metric = 'roc_auc_of_labels'
),

calibration_errors as (
    select
        model_id,
        evaluation_snapshot_id,
        value as ece
    from {{ ref('classifier_metrics') }}
    where split = 'test' and metric = 'ece'
),

held as (
    {%- if is_incremental() %}
    select * from {{ this }}
    {%- else %}
    select
        cast(null as string) as classifier_id,
        cast(null as string) as dataset_id,
        cast(null as string) as model_id,
        cast(null as string) as compared_model_id,
        cast(null as string) as evaluation_snapshot_id,
        cast(null as string) as promotion_id,
        cast(null as string) as reason,
        false as is_promoted,
        cast(null as int64) as example_count,
        cast(null as {{ float_type() }}) as difference,
        {{ utc_now() }} as decided_at
    from eligible
    where false
    {%- endif %}
),

answering as (
    select
        held.classifier_id,
        held.model_id,
        held.decided_at,
        eligible.is_never_positive,
        eligible.erasure_requested_at
    from held
    inner join eligible
        on
            held.classifier_id = eligible.classifier_id
            and held.model_id = eligible.model_id
    where held.is_promoted
    qualify row_number() over (
        partition by held.classifier_id
        order by held.decided_at desc, held.model_id asc
    ) = 1
),

-- of several words of people the one decided last counts, whenever each of them landed
words as (
    select
        events.promotion_id,
        events.classifier_id,
        events.model_id,
        events.decided_by,
        eligible.dataset_id,
        eligible.current_snapshot_id,
        case
            when eligible.model_id is null then 'not_eligible'
            when row_number() over (
                partition by events.classifier_id, eligible.model_id is null
                order by events.decided_at desc, events.promotion_id desc
            ) = 1 then 'asked_for'
            else 'asked_for_another_later'
        end as reason
    from {{ ref('stg_promotion_events') }} as events
    left join eligible
        on
            events.classifier_id = eligible.classifier_id
            and events.model_id = eligible.model_id
),

-- a word counts once; that for a model which may not answer yet stays open
asked_for as (
    select * from words
    where not exists (
        select 1
        from held
        where held.promotion_id = words.promotion_id and held.reason in (words.reason, 'asked_for', 'asked_for_another_later')
    )
),

-- who only confirms the model that answers has changed nothing
promoted_by_people as (
    select
        classifier_id,
        model_id,
        compared_model_id,
        decided_at,
        max(case when compared_model_id = model_id then null else decided_at end) over (
            partition by classifier_id
        ) as last_changed_at
    from held
    where promotion_id is not null and is_promoted
),

-- whom a person replaced, unless a person brought it back later
replaced_by_a_person as (
    select distinct
        replaced.classifier_id,
        replaced.compared_model_id as model_id,
        replaced.model_id as promoted_model_id,
        replaced.decided_at,
        replaced.decided_at = replaced.last_changed_at as is_last_change
    from promoted_by_people as replaced
    where
        replaced.compared_model_id <> replaced.model_id
        and not exists (
            select 1
            from promoted_by_people as brought_back
            where
                brought_back.classifier_id = replaced.classifier_id
                and brought_back.model_id = replaced.compared_model_id
                and brought_back.decided_at > replaced.decided_at
        )
),

registered as (
    select
        classifier_id,
        max(recorded_at) as recorded_at
    from {{ ref('classifier_versions') }}
    group by classifier_id
),

-- the gate does not bring back what a person replaced. After a step back it also keeps out what a late vector or an erasure made
-- of the same snapshot, until a person decides again or the classifier's row of the registry changes
taken_down as (
    select
        eligible.classifier_id,
        eligible.model_id,
        max(case when eligible.model_id = replaced.model_id then 1 else 0 end) = 1 as is_itself
    from replaced_by_a_person as replaced
    inner join classifier_models as replaced_models
        on replaced.model_id = replaced_models.model_id
    inner join classifier_models as promoted_models
        on replaced.promoted_model_id = promoted_models.model_id
    inner join eligible
        on replaced.classifier_id = eligible.classifier_id
    inner join classifier_models as eligible_models
        on eligible.model_id = eligible_models.model_id
    left join registered
        on replaced.classifier_id = registered.classifier_id
    where
        eligible.model_id = replaced.model_id
        or (
            replaced.is_last_change
            and replaced_models.trained_at > promoted_models.trained_at
            and eligible_models.snapshot_id = replaced_models.snapshot_id
            and registered.recorded_at <= replaced.decided_at
        )
    group by eligible.classifier_id, eligible.model_id
),

candidates as (
    select
        eligible.classifier_id,
        eligible.dataset_id,
        eligible.model_id,
        eligible.current_snapshot_id,
        eligible.gate_margin,
        eligible.gate_largest_ece,
        answering.model_id as compared_model_id,
        answering.decided_at as answering_since,
        -- half of the time is for a model that passes the gate
        coalesce(
            {{ add_hours('answering.erasure_requested_at', 12 * var('erasure_due_days')) }} <= {{ utc_now() }},
            false
        ) as is_overdue,
        coalesce(taken_down.is_itself, false) as is_taken_down,
        taken_down.model_id is not null as follows_one_taken_down,
        eligible.is_never_positive and not answering.is_never_positive as has_gone_silent
    from eligible
    left join answering
        on eligible.classifier_id = answering.classifier_id
    left join taken_down
        on
            eligible.classifier_id = taken_down.classifier_id
            and eligible.model_id = taken_down.model_id
    left join asked_for
        on
            eligible.classifier_id = asked_for.classifier_id
            and asked_for.reason = 'asked_for'
    where
        eligible.preference = 1
        and (answering.model_id is null or (eligible.is_wanted and eligible.model_id <> answering.model_id))
        and asked_for.classifier_id is null
),

looks as (
    select
        dataset_id,
        count(*) as look_count
    from held
    where difference is not null
    group by dataset_id
),

compared_models as (
    select
        candidates.*,
        paired_metrics.example_count,
        paired_metrics.customer_count,
        paired_metrics.value as roc_auc,
        case when candidates.compared_model_id is not null then paired_metrics.compared_value end as compared_roc_auc,
        case when candidates.compared_model_id is not null then paired_metrics.difference end as difference,
        case when candidates.compared_model_id is not null then paired_metrics.difference_lower end as difference_lower,
        calibration_errors.ece
    from candidates
    left join calibration_errors
        on
            candidates.model_id = calibration_errors.model_id
            and candidates.current_snapshot_id = calibration_errors.evaluation_snapshot_id
    left join paired_metrics
        on
            candidates.model_id = paired_metrics.model_id
            -- a first one beside itself
            and coalesce(candidates.compared_model_id, candidates.model_id) = paired_metrics.compared_model_id
            and candidates.current_snapshot_id = paired_metrics.evaluation_snapshot_id
),

judged as (
    select
        *,
        case
            when compared_model_id is null then 'first_model'
            when is_taken_down then 'taken_down_by_a_person'
            when is_overdue then 'replaces_a_model_of_erased_rows'
            when follows_one_taken_down then 'taken_down_by_a_person'
            when difference_lower is null or customer_count < {{ var('gate_least_customers') }} then 'too_few_examples'
            when has_gone_silent then 'never_positive'
            when ece > gate_largest_ece then 'badly_calibrated'
            when difference_lower > -gate_margin then 'not_worse'
            else 'may_be_worse'
        end as reason
    from compared_models
),

-- since a model answers, the same is said once of the same examples, not night after night
news as (
    select * from judged
    where not exists (
        select 1
        from held
        where
            held.promotion_id is null
            and held.classifier_id = judged.classifier_id
            and held.model_id = judged.model_id
            and held.decided_at >= judged.answering_since
            and held.evaluation_snapshot_id = judged.current_snapshot_id
            and held.reason = judged.reason
            and coalesce(held.example_count, 0) = coalesce(judged.example_count, 0)
    )
),

-- classifiers of one dataset look at the same customers
counted as (
    select
        news.*,
        coalesce(looks.look_count, 0) + sum(case when news.difference is null then 0 else 1 end) over (
            partition by news.dataset_id
            order by news.classifier_id
            rows between unbounded preceding and current row
        ) as look_count
    from news
    left join looks
        on news.dataset_id = looks.dataset_id
),

decisions as (
    select
        counted.classifier_id,
        counted.dataset_id,
        counted.model_id,
        counted.compared_model_id,
        counted.current_snapshot_id as evaluation_snapshot_id,
        cast(null as string) as promotion_id,
        'gate' as decided_by,
        counted.reason in ('first_model', 'replaces_a_model_of_erased_rows', 'not_worse') as is_promoted,
        counted.reason,
        counted.example_count,
        counted.roc_auc,
        counted.compared_roc_auc,
        counted.difference,
        counted.difference_lower,
        counted.gate_margin,
        counted.ece,
        counted.gate_largest_ece,
        cast(case when counted.difference is not null then counted.look_count end as int64) as look_count
    from counted
    union all
    select
        asked_for.classifier_id,
        asked_for.dataset_id,
        asked_for.model_id,
        answering.model_id as compared_model_id,
        asked_for.current_snapshot_id as evaluation_snapshot_id,
        asked_for.promotion_id,
        asked_for.decided_by,
        asked_for.reason = 'asked_for' as is_promoted,
        asked_for.reason,
        cast(null as int64) as example_count,
        cast(null as {{ float_type() }}) as roc_auc,
        cast(null as {{ float_type() }}) as compared_roc_auc,
        cast(null as {{ float_type() }}) as difference,
        cast(null as {{ float_type() }}) as difference_lower,
        cast(null as {{ float_type() }}) as gate_margin,
        cast(null as {{ float_type() }}) as ece,
        cast(null as {{ float_type() }}) as gate_largest_ece,
        cast(null as int64) as look_count
    from asked_for
    left join answering
        on asked_for.classifier_id = answering.classifier_id
)

select
    *,
    {{ utc_now() }} as decided_at
from decisions
