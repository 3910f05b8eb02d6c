with records as (
    select * from {{ ref('training_records') }}
    where record_type = 'trial'
),

trials as (
    select
        model_id,
        trial,
        weight_decay,
        seed,
        customer_share,
        train_count,
        best_epoch,
        validation_loss,
        is_kept
    from records
)

select * from trials
