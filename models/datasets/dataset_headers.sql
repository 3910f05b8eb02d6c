{{ config(materialized = 'incremental', full_refresh = false) }}

{#- A snapshot is taken by its header, also one without examples: from then on its rows, and the candidates that they were chosen
    from, must add up to these sums. -#}

{#- What a name stood for in one snapshot it stands for in all. -#}
{%- set meanings = {
    'split_policy': 'split_shares', 'label_rule': 'label_rule_hash', 'exclusion_rules': 'exclusion_rules_hash',
} -%}
{#- What decides which objects are candidates, what is known of them, and which of them are kept out. -#}
{%- set exclusion_models = ['dataset_candidates', 'observed_objects', 'account_statuses', 'decided_labels'] %}

with calendar as (
    select * from {{ ref('dataset_calendar') }}
    {%- if is_incremental() %}
    where snapshot_id not in (select snapshot_id from {{ this }})
    {%- endif %}
),

candidates as (
    select * from {{ ref('dataset_candidates') }}
),

examples as (
    select * from {{ ref('dataset_examples') }}
),

counts_by_reason as (
    select
        snapshot_id,
        exclusion_reason,
        count(*) as candidate_count,
        sum({{ row_fingerprint(frozen_columns().dataset_candidates) }}) as candidate_fingerprint
    from candidates
    where snapshot_id in (select calendar.snapshot_id from calendar)
    group by snapshot_id, exclusion_reason
),

candidate_counts as (
    select
        snapshot_id,
        cast(sum(candidate_count) as int64) as candidate_count,
        cast(sum(candidate_fingerprint) as {{ sum_type() }}) as candidate_fingerprint,
        {{ dbt.listagg(
            "case when exclusion_reason is not null then concat(exclusion_reason, ' ', cast(candidate_count as string)) end",
            "', '", "order by exclusion_reason"
        ) }} as exclusions
    from counts_by_reason
    group by snapshot_id
),

example_sums as (
    select
        examples.snapshot_id,
        count(*) as example_count,
        cast(sum(examples.row_fingerprint) as {{ sum_type() }}) as fingerprint
    from examples
    inner join calendar
        on examples.snapshot_id = calendar.snapshot_id
    group by examples.snapshot_id
),

headers as (
    select
        calendar.snapshot_id,
        calendar.dataset_id,
        calendar.task,
        calendar.purpose,
        calendar.specification,
        calendar.specification_text,
        calendar.label_rule,
        {{ label_rule_hash('calendar.task') }} as label_rule_hash,
        calendar.exclusion_rules,
        '{{ sql_hash(exclusion_models) }}' as exclusion_rules_hash,
        calendar.split_policy,
        calendar.split_salt,
        calendar.split_shares,
        coalesce(candidate_counts.exclusions, '') as exclusions,
        coalesce(candidate_counts.candidate_count, 0) as candidate_count,
        coalesce(example_sums.example_count, 0) as example_count,
        coalesce(example_sums.fingerprint, cast(0 as {{ sum_type() }})) as fingerprint,
        coalesce(candidate_counts.candidate_fingerprint, cast(0 as {{ sum_type() }})) as candidate_fingerprint,
        calendar.as_of
    from calendar
    left join candidate_counts
        on calendar.snapshot_id = candidate_counts.snapshot_id
    left join example_sums
        on calendar.snapshot_id = example_sums.snapshot_id
)
{%- if is_incremental() %},

{%- for name, meaning in meanings.items() %}

taken_{{ name }} as (
    select
        {{ name }},
        min({{ meaning }}) as {{ meaning }}
    from {{ this }}
    group by {{ name }}
),
{%- endfor %}

taken_salt as (
    select min(split_salt) as split_salt
    from {{ this }}
),

-- under one policy a customer is on one side for ever, and under one version of a rule its SQL says one thing: what would move
-- customers, or change a rule in silence, stops the build before anything is taken
untaken as (
    select headers.*
    from headers
    cross join taken_salt
    {%- for name in meanings %}
    left join taken_{{ name }}
        on headers.{{ name }} = taken_{{ name }}.{{ name }}
    {%- endfor %}
    where
        not {{ fail_where(
            "taken_salt.split_salt <> headers.split_salt",
            "concat('split_salt: this store was begun with ', taken_salt.split_salt, ' and the build asks for ',"
            ~ " headers.split_salt, '. One salt for the life of a store: set it back, or begin another store.')"
        ) }}
        and not {{ fail_where(
            "taken_split_policy.split_shares <> headers.split_shares",
            "concat('split_policies.csv: ', headers.split_policy, ' was ', taken_split_policy.split_shares, ' and is now ',"
            ~ " headers.split_shares, '. Set it back, and give other shares another name.')"
        ) }}
        and not {{ fail_where(
            "taken_label_rule.label_rule is not null and taken_label_rule.label_rule_hash is distinct from headers.label_rule_hash",
            "concat('label rule ', headers.label_rule, ': its SQL is not what it was when a snapshot followed it. Raise its version in',"
            ~ " ' tasks.csv, or set the SQL back.')"
        ) }}
        and not {{ fail_where(
            "taken_exclusion_rules.exclusion_rules_hash <> headers.exclusion_rules_hash",
            "concat('exclusion rules ', headers.exclusion_rules, ': their SQL is not what it was when a snapshot followed them. Raise',"
            ~ " ' their version in macros/exclusion_rules.sql, or set the SQL back.')"
        ) }}
)

select * from untaken
{%- else %}

select * from headers
{%- endif %}
