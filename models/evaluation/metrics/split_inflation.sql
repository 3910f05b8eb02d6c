{# Why splits are by customer: what a split by row would have promised, and customers would not have got. #}
with audits as (
    select * from {{ ref('split_audits') }}
),

headers as (
    select * from {{ ref('dataset_headers') }}
),

inflation as (
    select
        audits.snapshot_id,
        headers.dataset_id,
        audits.encoder_fingerprint,
        audits.example_count,
        audits.group_count,
        audits.near_duplicate_count,
        audits.near_duplicate_across_groups_count,
        audits.near_duplicate_of_train_count,
        audits.roc_auc_by_group,
        audits.roc_auc_by_row,
        audits.inflation,
        audits.inflation_lower,
        audits.inflation_upper,
        headers.as_of
    from audits
    inner join headers
        on audits.snapshot_id = headers.snapshot_id
)

select * from inflation
