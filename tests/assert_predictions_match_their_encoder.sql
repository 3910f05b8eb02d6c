-- A prediction by a model that was trained on another encoder than the one that made the vector.
with predictions as (
    select * from {{ ref('predictions') }}
),

classifier_models as (
    select * from {{ ref('classifier_models') }}
)

select predictions.prediction_id
from predictions
inner join classifier_models
    on predictions.model_id = classifier_models.model_id
where predictions.encoder_fingerprint <> classifier_models.encoder_fingerprint
