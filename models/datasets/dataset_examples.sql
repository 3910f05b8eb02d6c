{# What each snapshot holds, or would: the candidates that no rule keeps out. #}
with candidates as (
    select * from {{ ref('dataset_candidates') }}
    -- a group on no side is no example, and a test counts it as lost
    where exclusion_reason is null and split is not null
),

examples as (
    select
        snapshot_id,
        dataset_id,
        object_id,
        object_version,
        split_group_id,
        split,
        label,
        label_rule,
        selected_by,
        label_known_at
    from candidates
),

fingerprinted as (
    select
        *,
        {{ row_fingerprint(frozen_columns().dataset_snapshots) }} as row_fingerprint
    from examples
)

select * from fingerprinted
