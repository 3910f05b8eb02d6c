{# Models that learned from rows which were erased afterwards: their weights may still carry them, so another model must answer by
   the time that the store has promised. #}
with models_of_erased_rows as (
    select * from {{ ref('models_of_erased_rows') }}
),

champions as (
    select * from {{ ref('champions') }}
),

due as (
    select
        models.model_id,
        models.classifier_id,
        models.snapshot_id,
        models.erased_train_count,
        models.erased_validation_count,
        champions.model_id is not null as is_answering,
        models.requested_at,
        {{ add_hours('models.requested_at', 24 * var('erasure_due_days')) }} as due_at
    from models_of_erased_rows as models
    left join champions
        on models.model_id = champions.model_id
)

select * from due
