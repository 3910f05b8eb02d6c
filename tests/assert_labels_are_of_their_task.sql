-- An example about to be frozen with a label that its task does not know. Frozen ones keep the labels of their time.
{%- set headers = held_relation('dataset_headers') %}
with examples as (
    select * from {{ ref('dataset_examples') }}
),

calendar as (
    select * from {{ ref('dataset_calendar') }}
),

task_labels as (
    select * from {{ ref('task_labels') }}
),

frozen as (
    select snapshot_id
    from {{ headers or 'calendar where false' }}
)

select
    examples.snapshot_id,
    examples.object_id
from examples
inner join calendar
    on examples.snapshot_id = calendar.snapshot_id
left join task_labels
    on
        calendar.task = task_labels.task
        and examples.label = task_labels.label
where
    task_labels.label is null
    and examples.snapshot_id not in (select frozen.snapshot_id from frozen)
