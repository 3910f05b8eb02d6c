-- An event that a classifier's champion may score and no model of that classifier has: somebody waits for a prediction.
with queue as (
    select
        classifier_id,
        event_id
    from {{ ref('prediction_queue') }}
),

predictions as (
    select
        classifier_id,
        event_id
    from {{ ref('predictions') }}
)

select
    queue.classifier_id,
    queue.event_id
from queue
left join predictions
    on
        queue.classifier_id = predictions.classifier_id
        and queue.event_id = predictions.event_id
where predictions.event_id is null
