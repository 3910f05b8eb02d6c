-- A classifier whose positive label its task does not know, a task of two labels without a positive one, or of none at all.
with classifiers as (
    select * from {{ ref('classifiers') }}
),

datasets as (
    select * from {{ ref('datasets') }}
),

task_labels as (
    select * from {{ ref('task_labels') }}
),

label_counts as (
    select
        task,
        count(*) as label_count
    from task_labels
    group by task
)

select classifiers.classifier_id
from classifiers
inner join datasets
    on classifiers.dataset_id = datasets.dataset_id
left join label_counts
    on datasets.task = label_counts.task
left join task_labels
    on
        datasets.task = task_labels.task
        and classifiers.positive_label = task_labels.label
where {{ fail_where(
    "label_counts.label_count is null or (label_counts.label_count = 2) <> (task_labels.label is not null)"
    ~ " or (classifiers.positive_label is not null and task_labels.label is null)",
    "concat('classifiers.csv: ', classifiers.classifier_id, ': positive_label must be a label of task ', datasets.task,"
    ~ " ' (task_labels.csv) if the task has two labels, and empty if it has more.')"
) }}
