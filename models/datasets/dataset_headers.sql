{{ config(materialized = 'incremental', full_refresh = false) }}

{#- A snapshot is taken by its header, also one without examples: from then on its rows, and the candidates that they were chosen
    from, must add up to these sums. -#}

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
        candidates.snapshot_id,
        candidates.exclusion_reason,
        count(*) as candidate_count,
        sum({{ row_fingerprint(frozen_columns().dataset_candidates) }}) as candidate_fingerprint
    from candidates
    inner join calendar
        on candidates.snapshot_id = calendar.snapshot_id
    group by candidates.snapshot_id, candidates.exclusion_reason
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

taken as (
    select
        split_policy,
        min(split_shares) as split_shares
    from {{ this }}
    group by split_policy
),

taken_salt as (
    select min(split_salt) as split_salt
    from {{ this }}
),

-- under one policy a customer is on one side for ever: what would move customers stops the build before anything is taken
untaken as (
    select headers.*
    from headers
    cross join taken_salt
    left join taken
        on headers.split_policy = taken.split_policy
    where
        not {{ fail_where(
            "taken_salt.split_salt <> headers.split_salt",
            "concat('split_salt: this store was begun with ', taken_salt.split_salt, ' and the build asks for ',"
            ~ " headers.split_salt, '. One salt for the life of a store: set it back, or begin another store.')"
        ) }}
        and not {{ fail_where(
            "taken.split_shares <> headers.split_shares",
            "concat('split_policies.csv: ', headers.split_policy, ' was ', taken.split_shares, ' and is now ',"
            ~ " headers.split_shares, '. Set it back, and give other shares another name.')"
        ) }}
)

select * from untaken
{%- else %}

select * from headers
{%- endif %}
