-- A dataset in which silence means a label that its task does not know.
with datasets as (
    select * from {{ ref('datasets') }}
),

task_labels as (
    select * from {{ ref('task_labels') }}
)

select datasets.dataset_id
from datasets
left join task_labels
    on
        datasets.task = task_labels.task
        and datasets.absence_label = task_labels.label
where {{ fail_where(
    "datasets.absence_label is not null and task_labels.label is null",
    "concat('datasets.csv: ', datasets.dataset_id, ': absence_label ', datasets.absence_label, ' is no label of task ', datasets.task,"
    ~ " ' in task_labels.csv. Correct it, or leave it empty.')"
) }}
