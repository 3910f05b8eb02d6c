-- A model that is none of its trials, or more than one. Trainers before the third had no trials.
select models.model_id
from {{ ref('classifier_models') }} as models
left join {{ ref('training_trials') }} as trials
    on
        models.model_id = trials.model_id
        and trials.is_kept
where models.trainer_version not in ('1', '2')
group by models.model_id
having count(trials.trial) <> 1
