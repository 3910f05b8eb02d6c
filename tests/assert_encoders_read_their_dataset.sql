-- A classifier whose encoder reads another modality than its dataset holds: it would never see a vector.
with classifiers as (
    select * from {{ ref('classifiers') }}
),

datasets as (
    select * from {{ ref('datasets') }}
),

encoders as (
    select * from {{ ref('encoders') }}
)

select classifiers.classifier_id
from classifiers
inner join datasets
    on classifiers.dataset_id = datasets.dataset_id
inner join encoders
    on classifiers.encoder_id = encoders.encoder_id
where {{ fail_where(
    "datasets.modality <> encoders.modality",
    "concat('classifiers.csv: ', classifiers.classifier_id, ': encoder ', encoders.encoder_id, ' reads ', encoders.modality,"
    ~ " ', dataset ', datasets.dataset_id, ' holds ', datasets.modality, '. Choose an encoder of that modality.')"
) }}
