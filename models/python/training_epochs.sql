with records as (
    select * from {{ ref('training_records') }}
    where record_type = 'epoch'
),

epochs as (
    select
        model_id,
        -- trainers before the third fitted each model once
        coalesce(trial, 1) as trial,
        epoch,
        train_loss,
        validation_loss,
        is_best
    from records
)

select * from epochs
