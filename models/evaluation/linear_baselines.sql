{# Beside which linear model each other one is put: of its dataset and vectors, and of its snapshot, or of an earlier one where
   nothing has changed for it since. Of several the plain one, as it was configured last. #}
with classifier_models as (
    select * from {{ ref('classifier_models') }}
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
            and models.snapshot_as_of >= linear_models.snapshot_as_of
            and linear_models.architecture = 'linear'
    where models.architecture <> 'linear'
    qualify row_number() over (
        partition by models.model_id
        order by
            linear_models.snapshot_as_of desc,
            case when linear_models.class_weighting is null then 1 else 2 end asc,
            linear_models.classifier_id asc,
            linear_models.trained_at desc,
            linear_models.model_id asc
    ) = 1
)

select * from baselines
