with source as (
    select * from {{ source('landing', 'decision_events') }}
    where {{ not_erased('object', 'object_id') }}
),

task_labels as (
    select * from {{ ref('task_labels') }}
),

tasks as (
    select * from {{ ref('tasks') }}
),

typed as (
    select
        cast(event_id as string) as event_id,
        cast(object_id as string) as object_id,
        cast(task as string) as task,
        cast(label as string) as label,
        coalesce(cast(selected_by as string), 'organic') as selected_by,
        landed_at is not null as has_landed_at,
        {{ cast_or_null('decided_at', 'timestamp') }} as decided_at,
        {{ cast_or_null('landed_at', 'timestamp') }} as landed_at
    from source
),

judged as (
    select
        typed.*,
        typed.event_id as record_id,
        {{ row_hash({
            'typed.event_id': 'string', 'typed.object_id': 'string', 'typed.task': 'string', 'typed.label': 'string',
            'typed.selected_by': 'string', 'typed.decided_at': 'timestamp',
        }) }} as row_hash,
        coalesce(typed.landed_at, typed.decided_at) as known_at,
        case
            when typed.event_id is null then 'missing_event_id'
            when typed.object_id is null then 'missing_object_id'
            when tasks.task is null then 'unknown_task'
            when typed.label is not null and task_labels.label is null then 'unknown_label'
            when typed.selected_by not in ('organic', 'review_queue', 'random_audit') then 'unknown_selected_by'
            when typed.decided_at is null then 'missing_decided_at'
            when typed.has_landed_at and typed.landed_at is null then 'invalid_landed_at'
            when typed.landed_at < typed.decided_at then 'known_before_it_happened'
        end as rejection_reason
    from typed
    left join tasks
        on typed.task = tasks.task
    left join task_labels
        on
            typed.task = task_labels.task
            and typed.label = task_labels.label
)

select * from judged
