with headers as (
    select * from {{ ref('dataset_headers') }}
),

current_snapshots as (
    select * from {{ ref('current_snapshots') }}
),

snapshots as (
    select * from {{ ref('dataset_snapshots') }}
),

label_counts as (
    select
        snapshot_id,
        label,
        count(*) as example_count,
        sum(case when split = 'train' then 1 else 0 end) as train_count,
        sum(case when split = 'validation' then 1 else 0 end) as validation_count,
        sum(case when split = 'test' then 1 else 0 end) as test_count
    from snapshots
    group by snapshot_id, label
),

split_counts as (
    select
        snapshot_id,
        {{ dbt.listagg("concat(label, ' ', cast(example_count as string))", "', '", "order by label") }} as label_counts,
        cast(sum(train_count) as int64) as train_count,
        cast(sum(validation_count) as int64) as validation_count,
        cast(sum(test_count) as int64) as test_count,
        max(example_count) / sum(example_count) as majority_share
    from label_counts
    group by snapshot_id
),

summaries as (
    select
        headers.snapshot_id,
        headers.dataset_id,
        headers.task,
        headers.purpose,
        headers.specification_text as specification,
        headers.exclusions,
        coalesce(split_counts.label_counts, '') as label_counts,
        headers.candidate_count,
        headers.example_count,
        coalesce(split_counts.train_count, 0) as train_count,
        coalesce(split_counts.validation_count, 0) as validation_count,
        coalesce(split_counts.test_count, 0) as test_count,
        split_counts.majority_share,
        current_snapshots.snapshot_id is not null as is_current,
        headers.as_of
    from headers
    left join current_snapshots
        on headers.snapshot_id = current_snapshots.snapshot_id
    left join split_counts
        on headers.snapshot_id = split_counts.snapshot_id
)

select * from summaries
