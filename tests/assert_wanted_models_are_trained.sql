-- A model that is wanted and can be trained, and was not. A warning: after `training_minutes` the rest is left for the next build.
{{ config(severity='warn') }}

with queue as (
    select * from {{ ref('training_queue') }}
    where blocked_by is null
),

classifier_models as (
    select * from {{ ref('classifier_models') }}
)

select queue.model_id
from queue
left join classifier_models
    on queue.model_id = classifier_models.model_id
where classifier_models.model_id is null
