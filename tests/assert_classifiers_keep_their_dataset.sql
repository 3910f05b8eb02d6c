-- A classifier that was trained on another dataset before: old answers of another task would stand under its name.
with classifiers as (
    select * from {{ ref('classifiers') }}
),

classifier_models as (
    select * from {{ ref('classifier_models') }}
)

select classifiers.classifier_id
from classifiers
inner join classifier_models
    on classifiers.classifier_id = classifier_models.classifier_id
where {{ fail_where(
    "classifiers.dataset_id <> classifier_models.dataset_id",
    "concat('classifiers.csv: ', classifiers.classifier_id, ' was trained on ', classifier_models.dataset_id, ' and now names ',"
    ~ " classifiers.dataset_id, '. Set it back, and give the other dataset a classifier of its own.')"
) }}
