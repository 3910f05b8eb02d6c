{# Which snapshots are due. The clock is the newest object, never the wall: the same rows ask for the same snapshots.
   A changed rule is another specification, hence another snapshot; the old one stays. #}

{%- set asked_moments = requested_moments('as_of') -%}

with datasets as (
    select * from {{ ref('datasets') }}
),

tasks as (
    select * from {{ ref('tasks') }}
),

split_policies as (
    select * from {{ ref('split_policies') }}
),

objects as (
    select * from {{ ref('stg_objects') }}
),

newest_objects as (
    select
        modality,
        max(known_at) as known_at
    from objects
    group by modality
),

{%- if asked_moments %}

asked_moments as (
    {%- for moment in asked_moments %}
    select {{ moment }} as as_of
    {{- " union all" if not loop.last }}
    {%- endfor %}
),
{%- endif %}

split_shares as (
    select
        split_policy,
        {{ dbt.listagg(
            "split || ' ' || cast(bucket_from as string) || '-' || cast(bucket_to as string)"
            ~ " || coalesce(' of the newest ' || cast(newest_days as string) || ' days', '')",
            "', '", "order by bucket_from"
        ) }} as shares
    from split_policies
    group by split_policy
),

due as (
    select
        datasets.dataset_id,
        datasets.task,
        datasets.purpose,
        tasks.label_rule,
        '{{ exclusion_rules() }}' as exclusion_rules,
        datasets.split_policy,
        '{{ var("split_salt") }}' as split_salt,
        split_shares.shares as split_shares,
        datasets.absence_label,
        datasets.window_months,
        datasets.label_horizon_hours,
        concat(
            'task ', datasets.task,
            '; label rule ', tasks.label_rule,
            '; exclusion rules {{ exclusion_rules() }}',
            '; modality ', datasets.modality,
            '; window ', cast(datasets.window_months as string), ' months',
            '; label due after ', cast(datasets.label_horizon_hours as string), ' hours',
            '; silence means ', coalesce(datasets.absence_label, 'nothing'),
            '; split by ', datasets.split_policy, ' (', split_shares.shares, ' of 1000)',
            '; salt {{ var("split_salt") }}'
        ) as specification_text,
        {{ 'asked_moments.as_of' if asked_moments else period_start('datasets.cadence', 'newest_objects.known_at') }} as as_of
    from datasets
    inner join tasks
        on datasets.task = tasks.task
    inner join split_shares
        on datasets.split_policy = split_shares.split_policy
    inner join newest_objects
        on datasets.modality = newest_objects.modality
    {%- if asked_moments %}
    cross join asked_moments
    {%- endif %}
),

specified as (
    select
        *,
        substr({{ dbt.hash('specification_text') }}, 1, 8) as specification
    from due
),

identified as (
    select
        dataset_id || '@' || {{ format_utc('as_of') }} || '#' || specification as snapshot_id,
        dataset_id,
        task,
        purpose,
        label_rule,
        exclusion_rules,
        specification,
        specification_text,
        split_policy,
        split_salt,
        split_shares,
        absence_label,
        window_months,
        label_horizon_hours,
        as_of
    from specified
)

select * from identified
