{#- One line a task. -#}
{%- set histories = [
    'labels_negative_review',
    'labels_review_tone',
] -%}

with tasks as (
    select * from {{ ref('tasks') }}
),

implied_labels as (
    {%- for history in histories %}
    select
        dataset_id,
        task,
        object_id,
        object_version,
        label,
        raw_event_count,
        agreement,
        valid_from,
        valid_to
    from {{ ref(history) }}
    {{- " union all" if not loop.last }}
    {%- endfor %}
),

labels as (
    select
        implied_labels.dataset_id,
        implied_labels.task,
        implied_labels.object_id,
        implied_labels.object_version,
        implied_labels.label,
        tasks.label_rule,
        implied_labels.raw_event_count,
        implied_labels.agreement,
        implied_labels.valid_from,
        implied_labels.valid_to
    from implied_labels
    inner join tasks
        on implied_labels.task = tasks.task
)

select * from labels
