{# Turns a label per raw event into a history with one row per change of the label: [valid_from, valid_to).
   `implied` is a CTE with dataset_id, task, object_id, object_version, label, raw_event_count, agreement, known_at;
   of several events known at one moment the last one speaks.
   Usage: {{ label_history('implied_labels') }} as the last select of labels_<task>.sql #}
{% macro label_history(implied) -%}
select
    dataset_id,
    task,
    object_id,
    object_version,
    label,
    raw_event_count,
    agreement,
    known_at as valid_from,
    lead(known_at) over (
        partition by dataset_id, object_id, object_version
        order by known_at
    ) as valid_to
from (
    select
        settled.*,
        lag(label) over (
            partition by dataset_id, object_id, object_version
            order by known_at
        ) as previous_label
    from (
        select *
        from {{ implied }}
        qualify row_number() over (
            partition by dataset_id, object_id, object_version, known_at
            order by raw_event_count desc
        ) = 1
    ) as settled
) as compared
where previous_label is null or previous_label <> label
{%- endmacro %}
