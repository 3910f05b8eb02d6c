-- A network without the linear baseline beside it, on the same dataset and encoder and for the same label: nobody could tell what
-- it is worth.
with classifiers as (
    select * from {{ ref('classifiers') }}
    where state <> 'off'
),

baselines as (
    select distinct
        dataset_id,
        encoder_id,
        positive_label
    from classifiers
    where architecture = 'linear'
)

select classifiers.classifier_id
from classifiers
left join baselines
    on
        classifiers.dataset_id = baselines.dataset_id
        and classifiers.encoder_id = baselines.encoder_id
        and classifiers.positive_label is not distinct from baselines.positive_label
where {{ fail_where(
    "baselines.dataset_id is null",
    "concat('classifiers.csv: ', classifiers.classifier_id, ': add a row with architecture linear for the same dataset, encoder and positive_label.')"
) }}
