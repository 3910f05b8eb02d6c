{# Who answers, and why. A build takes at most one new model of each classifier into question: the one that a person asks for, or
   else the one that the registry and the current snapshot call for. The gate lets it answer unless it may be worse. #}
{# On a new store nothing is held, and the linter takes the indentation after that for another depth. #}
-- noqa: disable=LT02
{{ config(materialized = 'incremental', full_refresh = false) }}

with eligible as (
    select * from {{ ref('eligible_models') }}
),

replicates as (
    select * from {{ ref('paired_replicates') }}
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

-- whom a person replaced the gate does not bring back, unless a person did later
taken_down as (
    select distinct
        replaced.classifier_id,
        replaced.compared_model_id as model_id
    from held as replaced
    where
        replaced.promotion_id is not null
        and replaced.is_promoted
        and replaced.compared_model_id <> replaced.model_id
        and not exists (
            select 1
            from held as brought_back
            where
                brought_back.promotion_id is not null
                and brought_back.is_promoted
                and brought_back.classifier_id = replaced.classifier_id
                and brought_back.model_id = replaced.compared_model_id
                and brought_back.decided_at > replaced.decided_at
        )
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
            {{ add_hours('answering.erasure_requested_at', 12 * var('erasure_due_days')) }} <= {{ utc_now() }}
            and eligible.erasure_requested_at is null,
            false
        ) as is_overdue,
        taken_down.model_id is not null as is_taken_down,
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

-- draw by draw, so that both models meet the same customers, and undrawn
pairs as (
    select
        candidates.classifier_id,
        replicates.replicate,
        replicates.example_count,
        replicates.customer_count,
        replicates.roc_auc,
        case when candidates.compared_model_id is not null then replicates.compared_roc_auc end as compared_roc_auc,
        case when candidates.compared_model_id is not null then replicates.roc_auc - replicates.compared_roc_auc end as difference
    from candidates
    inner join replicates
        on
            candidates.model_id = replicates.model_id
            -- a first one beside itself
            and coalesce(candidates.compared_model_id, candidates.model_id) = replicates.compared_model_id
            and candidates.current_snapshot_id = replicates.evaluation_snapshot_id
),

differences as (
    select
        classifier_id,
        difference,
        row_number() over (
            partition by classifier_id
            order by difference, replicate
        ) as place,
        count(*) over (partition by classifier_id) as draw_count
    from pairs
    where replicate > 0 and difference is not null
),

-- a twentieth of the draws are below
bounds as (
    select
        classifier_id,
        draw_count,
        max(case when place = floor(draw_count / 20) + 1 then difference end) as difference_lower
    from differences
    group by classifier_id, draw_count
),

undrawn as (
    select * from pairs
    where replicate = 0
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
        undrawn.example_count,
        undrawn.customer_count,
        undrawn.roc_auc,
        undrawn.compared_roc_auc,
        undrawn.difference,
        bounds.difference_lower,
        coalesce(bounds.draw_count, 0) as draw_count,
        calibration_errors.ece,
        -- classifiers of one dataset look at the same customers
        coalesce(looks.look_count, 0) + sum(case when undrawn.difference is null then 0 else 1 end) over (
            partition by candidates.dataset_id
            order by candidates.classifier_id
            rows between unbounded preceding and current row
        ) as look_count
    from candidates
    left join calibration_errors
        on
            candidates.model_id = calibration_errors.model_id
            and candidates.current_snapshot_id = calibration_errors.evaluation_snapshot_id
    left join undrawn
        on candidates.classifier_id = undrawn.classifier_id
    left join bounds
        on candidates.classifier_id = bounds.classifier_id
    left join looks
        on candidates.dataset_id = looks.dataset_id
),

judged as (
    select
        *,
        case
            when compared_model_id is null then 'first_model'
            when is_taken_down then 'taken_down_by_a_person'
            when is_overdue then 'replaces_a_model_of_erased_rows'
            when draw_count < {{ least_draws() }} or coalesce(customer_count, 0) < {{ var('gate_least_customers') }}
                then 'too_few_examples'
            when has_gone_silent then 'never_positive'
            when ece > gate_largest_ece then 'badly_calibrated'
            when difference_lower <= -gate_margin then 'may_be_worse'
            else 'not_worse'
        end as reason
    from compared_models
),

decisions as (
    select
        judged.classifier_id,
        judged.dataset_id,
        judged.model_id,
        judged.compared_model_id,
        judged.current_snapshot_id as evaluation_snapshot_id,
        cast(null as string) as promotion_id,
        'gate' as decided_by,
        judged.reason in ('first_model', 'replaces_a_model_of_erased_rows', 'not_worse') as is_promoted,
        judged.reason,
        judged.example_count,
        judged.roc_auc,
        judged.compared_roc_auc,
        judged.difference,
        judged.difference_lower,
        judged.gate_margin,
        judged.ece,
        judged.gate_largest_ece,
        cast(case when judged.difference is not null then judged.look_count end as int64) as look_count
    from judged
    where not exists (
        select 1
        from held
        where
            held.promotion_id is null
            and held.classifier_id = judged.classifier_id
            and held.model_id = judged.model_id
            -- since this model answers, for this snapshot and for this reason: the same night after night is said once
            and held.decided_at >= judged.answering_since
            and held.evaluation_snapshot_id = judged.current_snapshot_id
            and held.reason = judged.reason
    )
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
