with records as (
    select * from {{ ref('training_records') }}
    where record_type = 'unit'
),

units as (
    select
        model_id,
        layer,
        unit,
        bias,
        weights
    from records
)

select * from units
