-- A model that is wanted and can be trained, and was not: most likely the time for training was over, and the next build goes on.
-- After everything else, which need not wait for it: depends_on {{ ref('latest_predictions') }}
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
