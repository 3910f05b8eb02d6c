-- A split policy whose ranges leave a gap, overlap, or do not run from 0 to 1000: some group would be lost or on two sides.
with ordered as (
    select
        split_policy,
        bucket_from,
        bucket_to,
        coalesce(lag(bucket_to) over (partition by split_policy order by bucket_from, bucket_to), 0) as previous_bucket_to,
        lead(bucket_from, 1, 1000) over (partition by split_policy order by bucket_from, bucket_to) as next_bucket_from
    from {{ ref('split_policies') }}
)

select distinct split_policy
from ordered
where
    bucket_from >= bucket_to
    or bucket_from <> previous_bucket_to
    or bucket_to <> next_bucket_from
