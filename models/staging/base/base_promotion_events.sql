with source as (
    select * from {{ source('landing', 'promotion_events') }}
),

classifiers as (
    select * from {{ ref('classifiers') }}
),

typed as (
    select
        cast(event_id as string) as event_id,
        cast(classifier_id as string) as classifier_id,
        cast(model_id as string) as model_id,
        cast(decided_by as string) as decided_by,
        cast(reason as string) as reason,
        landed_at is not null as has_landed_at,
        {{ cast_or_null('decided_at', 'timestamp') }} as decided_at,
        {{ cast_or_null('landed_at', 'timestamp') }} as landed_at
    from source
),

judged as (
    select
        typed.*,
        typed.event_id as record_id,
        {{ row_hash({
            'typed.event_id': 'string', 'typed.classifier_id': 'string', 'typed.model_id': 'string', 'typed.decided_by': 'string',
            'typed.reason': 'string', 'typed.decided_at': 'timestamp',
        }) }} as row_hash,
        coalesce(typed.landed_at, typed.decided_at) as known_at,
        case
            when typed.event_id is null then 'missing_event_id'
            when classifiers.classifier_id is null then 'unknown_classifier'
            when typed.model_id is null then 'missing_model_id'
            when coalesce({{ without_outer_space('typed.decided_by') }}, '') = '' then 'missing_decided_by'
            when coalesce({{ without_outer_space('typed.reason') }}, '') = '' then 'missing_reason'
            when typed.decided_at is null then 'missing_decided_at'
            when typed.has_landed_at and typed.landed_at is null then 'invalid_landed_at'
            when typed.landed_at < typed.decided_at then 'known_before_it_happened'
            -- of several decisions the last one counts: this one would for ever
            when coalesce(typed.landed_at, typed.decided_at) > {{ utc_now() }} then 'in_the_future'
        end as rejection_reason
    from typed
    left join classifiers
        on typed.classifier_id = classifiers.classifier_id
)

select * from judged
