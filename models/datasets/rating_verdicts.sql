{# The crowd's running verdict, which every task that reads ratings reads here: what had been said of an object after each
   rating that counts, in the order in which the store learned of them. #}
with ratings as (
    select * from {{ ref('stg_rating_events') }}
),

observed_objects as (
    select * from {{ ref('observed_objects') }}
),

-- every object is watched equally long, whenever it was created
counted_ratings as (
    select
        observed_objects.dataset_id,
        observed_objects.task,
        observed_objects.object_id,
        observed_objects.object_version,
        ratings.event_id,
        ratings.rating,
        ratings.known_at
    from ratings
    inner join observed_objects
        on
            ratings.object_id = observed_objects.object_id
            and ratings.rated_at >= observed_objects.object_created_at
            and ratings.rated_at < observed_objects.label_due_at
),

verdicts as (
    select
        dataset_id,
        task,
        object_id,
        object_version,
        event_id,
        count(*) over so_far as rating_count,
        cast(sum(case when rating < 0 then 1 else 0 end) over so_far as int64) as negative_count,
        cast(sum(case when rating > 0 then 1 else 0 end) over so_far as int64) as positive_count,
        known_at
    from counted_ratings
    window so_far as (
        partition by dataset_id, object_id, object_version
        order by known_at, event_id
        rows between unbounded preceding and current row
    )
)

select * from verdicts
