-- A due snapshot in which examples and excluded candidates do not add up to the candidates.
-- A group's bucket outside every split of the policy would lose examples this way.
with candidates as (
    select
        snapshot_id,
        count(*) as candidate_count,
        sum(case when exclusion_reason is not null then 1 else 0 end) as excluded_count
    from {{ ref('dataset_candidates') }}
    group by snapshot_id
),

examples as (
    select
        snapshot_id,
        count(*) as example_count
    from {{ ref('dataset_examples') }}
    group by snapshot_id
)

select candidates.snapshot_id
from candidates
left join examples
    on candidates.snapshot_id = examples.snapshot_id
where candidates.candidate_count <> candidates.excluded_count + coalesce(examples.example_count, 0)
