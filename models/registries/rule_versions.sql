{{ config(materialized = 'incremental', full_refresh = false) }}

{#- What decides which objects are candidates, what is known of them, and which of them are kept out. -#}
{%- set exclusion_models = ['dataset_candidates', 'observed_objects', 'account_statuses', 'decided_labels'] -%}

with tasks as (
    select * from {{ ref('tasks') }}
),

in_force as (
    select
        label_rule as rule,
        case task
            {%- for rule in label_rule_models() %}
            when '{{ rule.task }}' then '{{ sql_hash(rule.models) }}'
            {%- endfor %}
        end as sql_hash
    from tasks
    union all
    select
        '{{ exclusion_rules() }}' as rule,
        '{{ sql_hash(exclusion_models) }}' as sql_hash
)
{%- if is_incremental() %},

-- one version is one text: else rows that were labelled in two ways would say that they follow the same rule
unrecorded as (
    select in_force.*
    from in_force
    left join {{ this }} as recorded
        on in_force.rule = recorded.rule
    where
        recorded.rule is null
        or {{ fail_where(
            "recorded.rule is not null and recorded.sql_hash is distinct from in_force.sql_hash",
            "concat('rule ', in_force.rule, ': its SQL is not what it was when this version was recorded. Raise the version (of a label',"
            ~ " ' rule in tasks.csv, of the exclusions in macros/exclusion_rules.sql), or set the SQL back.')"
        ) }}
)
{%- endif %}

select
    *,
    {{ utc_now() }} as recorded_at
from {{ 'unrecorded' if is_incremental() else 'in_force' }}
