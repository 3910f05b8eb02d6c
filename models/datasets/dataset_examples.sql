{# What each due snapshot would hold: the candidates that no rule keeps out, each on the side of its group. #}
with candidates as (
    select
        *,
        {{ stable_bucket('split_group_id', var('split_salt'), 1000) }} as bucket
    from {{ ref('dataset_candidates') }}
    where exclusion_reason is null
),

split_policies as (
    select * from {{ ref('split_policies') }}
),

examples as (
    select
        candidates.snapshot_id,
        candidates.dataset_id,
        candidates.object_id,
        candidates.object_version,
        candidates.split_group_id,
        split_policies.split,
        candidates.label,
        candidates.label_rule,
        candidates.selected_by,
        candidates.label_known_at
    from candidates
    inner join split_policies
        on
            candidates.split_policy = split_policies.split_policy
            and candidates.bucket >= split_policies.bucket_from
            and candidates.bucket < split_policies.bucket_to
),

fingerprinted as (
    select
        *,
        {{ row_fingerprint(snapshot_columns()) }} as row_fingerprint
    from examples
)

select * from fingerprinted
