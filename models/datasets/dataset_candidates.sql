{# Every object of the dataset's population that the store knew at `as_of`, with what it knew of it then, and the first rule
   that keeps it out. Kept once the snapshot is taken; until then judged anew, as a test may have stopped the build for it. #}
{{ config(
    materialized = 'incremental',
    full_refresh = false,
    cluster_by = ['snapshot_id'],
    pre_hook = "{{ leave_out_untaken() }}",
) }}

with calendar as (
    select * from {{ ref('dataset_calendar') }}
    {%- if is_incremental() %}
    where snapshot_id not in (select snapshot_id from {{ this }})
    {%- endif %}
),

observed_objects as (
    select * from {{ ref('observed_objects') }}
),

labels as (
    select * from {{ ref('labels') }}
),

decided_labels as (
    select * from {{ ref('decided_labels') }}
),

account_statuses as (
    select * from {{ ref('account_statuses') }}
),

-- a policy may keep its newest days for one side; the others then hold what is older
sides as (
    select
        split_policy,
        split,
        bucket_from,
        bucket_to,
        newest_days is not null as is_of_newest_days,
        max(newest_days) over (partition by split_policy) as newest_days
    from {{ ref('split_policies') }}
),

-- an object may have changed: its newest version then
objects_then as (
    select
        calendar.snapshot_id,
        calendar.dataset_id,
        calendar.task,
        calendar.split_policy,
        calendar.absence_label,
        calendar.as_of,
        {{ subtract_months('calendar.as_of', 'calendar.window_months') }} as window_start,
        observed_objects.object_id,
        observed_objects.object_version,
        observed_objects.customer_id,
        observed_objects.content_mac,
        observed_objects.content_mac_key_id,
        observed_objects.object_created_at,
        observed_objects.label_due_at
    from calendar
    inner join observed_objects
        on
            calendar.dataset_id = observed_objects.dataset_id
            and calendar.as_of > observed_objects.known_at
    qualify row_number() over (
        partition by calendar.snapshot_id, observed_objects.object_id
        order by observed_objects.known_at desc, observed_objects.object_created_at desc, observed_objects.object_version desc
    ) = 1
),

-- a person's decision outranks what raw events imply, and both outrank silence
known_then as (
    select
        objects_then.snapshot_id,
        objects_then.dataset_id,
        objects_then.object_id,
        objects_then.object_version,
        objects_then.customer_id as split_group_id,
        objects_then.content_mac,
        objects_then.content_mac_key_id,
        objects_then.split_policy,
        coalesce(account_statuses.status, 'unknown') as account_status,
        coalesce(decided_labels.label, labels.label, objects_then.absence_label) as label,
        case
            when decided_labels.label is not null then 'decision'
            when labels.label is not null then labels.label_rule
            when objects_then.absence_label is not null then 'absence'
        end as label_rule,
        case when decided_labels.label is not null then decided_labels.selected_by else 'organic' end as selected_by,
        case when decided_labels.label is null then labels.raw_event_count end as raw_event_count,
        case
            when decided_labels.label is not null then decided_labels.valid_from
            when labels.label is not null then labels.valid_from
            when objects_then.absence_label is not null then objects_then.label_due_at
        end as label_known_at,
        objects_then.object_created_at,
        objects_then.label_due_at,
        objects_then.window_start,
        objects_then.as_of
    from objects_then
    left join labels
        on
            objects_then.dataset_id = labels.dataset_id
            and objects_then.object_id = labels.object_id
            and objects_then.object_version = labels.object_version
            and {{ in_force('labels.valid_from', 'labels.valid_to', 'objects_then.as_of') }}
    left join decided_labels
        on
            objects_then.task = decided_labels.task
            and objects_then.object_id = decided_labels.object_id
            -- what was said of an earlier version says nothing of this one
            and objects_then.object_created_at <= decided_labels.decided_at
            and {{ in_force('decided_labels.valid_from', 'decided_labels.valid_to', 'objects_then.as_of') }}
    left join account_statuses
        on
            objects_then.customer_id = account_statuses.customer_id
            and {{ in_force('account_statuses.valid_from', 'account_statuses.valid_to', 'objects_then.as_of') }}
),

bucketed as (
    select
        *,
        {{ stable_bucket('split_group_id', var('split_salt'), 1000) }} as bucket
    from known_then
),

-- a group is on one side for ever
sided as (
    select
        bucketed.*,
        sides.split,
        sides.is_of_newest_days,
        {{ add_hours('bucketed.as_of', '(-24 * sides.newest_days)') }} as newest_days_start
    from bucketed
    left join sides
        on
            bucketed.split_policy = sides.split_policy
            and bucketed.bucket >= sides.bucket_from
            and bucketed.bucket < sides.bucket_to
),

-- the order is the order in which people ask
judged as (
    select
        *,
        case
            when account_status <> 'open' then 'account_' || account_status
            when object_created_at < window_start then 'older_than_window'
            when label_due_at > as_of then 'label_not_due'
            when label is null then 'no_label'
            when is_of_newest_days and object_created_at < newest_days_start then 'older_than_its_split'
            when not is_of_newest_days and object_created_at >= newest_days_start then 'newer_than_its_split'
        end as broken_rule
    from sided
),

-- of several copies the first *usable* one stays, or one content would stand on both sides of a split
compared as (
    select
        *,
        row_number() over (
            partition by
                snapshot_id,
                content_mac_key_id,
                content_mac,
                -- without a MAC nothing is a copy, and a single partition of all such objects would not fit in memory
                case when content_mac is null then object_id end,
                broken_rule is null
            order by object_created_at, object_id
        ) as copy_number
    from judged
),

filtered as (
    select
        snapshot_id,
        dataset_id,
        object_id,
        object_version,
        split_group_id,
        split,
        account_status,
        label,
        label_rule,
        selected_by,
        coalesce(broken_rule, case when copy_number > 1 then 'duplicate_content' end) as exclusion_reason,
        raw_event_count,
        object_created_at,
        label_due_at,
        label_known_at,
        as_of
    from compared
)

select * from filtered
