{# The linear model that each network is compared with: one of the same dataset, encoder and positive label. Two that the registry
   wants now are compared even if one of them is of an earlier snapshot, as nothing has changed for it since. Otherwise it is the
   linear model of the same snapshot, or of the last one before. Of several it is the one without class weights, configured last. #}
with classifier_models as (
    select * from {{ ref('classifier_models') }}
),

wanted as (
    select model_id from {{ ref('training_queue') }}
),

baselines as (
    select
        models.model_id,
        linear_models.model_id as baseline_model_id
    from classifier_models as models
    inner join classifier_models as linear_models
        on
            models.dataset_id = linear_models.dataset_id
            and models.encoder_fingerprint = linear_models.encoder_fingerprint
            and models.positive_label is not distinct from linear_models.positive_label
            and linear_models.architecture = 'linear'
    left join wanted
        on models.model_id = wanted.model_id
    left join wanted as wanted_linear
        on
            linear_models.model_id = wanted_linear.model_id
            and wanted.model_id is not null
    where
        models.architecture <> 'linear'
        and (wanted_linear.model_id is not null or linear_models.snapshot_as_of <= models.snapshot_as_of)
    qualify row_number() over (
        partition by models.model_id
        order by
            case when wanted_linear.model_id is not null then 1 else 2 end asc,
            linear_models.snapshot_as_of desc,
            case when linear_models.class_weighting is null then 1 else 2 end asc,
            linear_models.classifier_id asc,
            linear_models.trained_at desc,
            linear_models.model_id asc
    ) = 1
)

select * from baselines
