-- A split policy whose ranges leave a gap, overlap, or do not run from 0 to 1000: some group would be lost or on two sides.
-- Or one that keeps its newest days for two sides, or no days for one: nobody could say which is the test out of time.
with ordered as (
    select
        split_policy,
        bucket_from,
        bucket_to,
        newest_days,
        count(newest_days) over (partition by split_policy) as reserved_count,
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
    or reserved_count > 1
    or newest_days < 1
