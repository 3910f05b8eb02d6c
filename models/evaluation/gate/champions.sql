{# The model that answers for each classifier in use: the one that was promoted last, of those that may still answer. #}
with eligible as (
    select * from {{ ref('eligible_models') }}
),

decisions as (
    select * from {{ ref('promotion_decisions') }}
    where is_promoted
),

chosen as (
    select
        eligible.classifier_id,
        eligible.dataset_id,
        eligible.model_id,
        eligible.encoder_id,
        eligible.encoder_fingerprint,
        eligible.deployment_state,
        eligible.positive_label
    from decisions
    inner join eligible
        on
            decisions.classifier_id = eligible.classifier_id
            and decisions.model_id = eligible.model_id
    qualify row_number() over (
        partition by eligible.classifier_id
        order by decisions.decided_at desc, decisions.model_id asc
    ) = 1
)

select * from chosen
