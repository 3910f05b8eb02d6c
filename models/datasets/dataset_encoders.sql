{# Which encoders' vectors each dataset needs: those of its classifiers that are not off. #}
with classifiers as (
    select * from {{ ref('classifiers') }}
),

encoders as (
    select * from {{ ref('encoders') }}
),

needed as (
    select
        classifiers.dataset_id,
        encoders.encoder_id,
        encoders.encoder_fingerprint,
        max(case when classifiers.state = 'live' then 1 else 0 end) = 1 as is_live
    from classifiers
    inner join encoders
        on classifiers.encoder_id = encoders.encoder_id
    where classifiers.state <> 'off'
    group by classifiers.dataset_id, encoders.encoder_id, encoders.encoder_fingerprint
)

select * from needed
