-- A classifier that was trained on another dataset or task before: its old answers would be to another question.
-- The models are read as the last build left them: this one stops before it trains what nobody could take back.
{%- set records = held_relation('training_records') %}
with classifiers as (
    select * from {{ ref('classifiers') }}
),

datasets as (
    select * from {{ ref('datasets') }}
),

classifier_models as (
    {%- if records %}
    select * from {{ records }}
    where record_type = 'model'
    {%- else %}
    select
        classifiers.classifier_id,
        datasets.dataset_id,
        datasets.task
    from classifiers
    cross join datasets
    where false
    {%- endif %}
)

select classifiers.classifier_id
from classifiers
inner join datasets
    on classifiers.dataset_id = datasets.dataset_id
inner join classifier_models
    on classifiers.classifier_id = classifier_models.classifier_id
where {{ fail_where(
    "classifiers.dataset_id <> classifier_models.dataset_id or datasets.task <> classifier_models.task",
    "concat('classifiers.csv, datasets.csv: ', classifiers.classifier_id, ' was trained on ', classifier_models.dataset_id, ' for ',"
    ~ " classifier_models.task, ' and is now to be on ', classifiers.dataset_id, ' for ', datasets.task,"
    ~ " '. Set it back, and give what is new a classifier of its own.')"
) }}
