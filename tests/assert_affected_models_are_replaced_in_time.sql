-- A model that learned from rows which were erased since, still answers, and should have been replaced by now: see why its
-- classifier was not trained again (training_queue.blocked_by).
select model_id
from {{ ref('affected_models') }}
where is_answering and due_at < {{ utc_now() }}
