{#- One line a task. -#}
{%- set histories = [
    'labels_negative_review',
    'labels_review_tone',
] -%}

with labels as (
    {%- for history in histories %}
    select
        dataset_id,
        task,
        object_id,
        object_version,
        label,
        label_rule,
        raw_event_count,
        agreement,
        valid_from,
        valid_to
    from {{ ref(history) }}
    {{- " union all" if not loop.last }}
    {%- endfor %}
)

select * from labels
