{%- set min_ratings = 10 -%}

with verdicts as (
    select * from {{ ref('rating_verdicts') }}
    where task = 'negative_review' and rating_count >= {{ min_ratings }}
),

implied_labels as (
    select
        dataset_id,
        task,
        object_id,
        object_version,
        case when 2 * negative_count >= rating_count then 'negative' else 'other' end as label,
        rating_count as raw_event_count,
        greatest(negative_count, rating_count - negative_count) / rating_count as agreement,
        known_at
    from verdicts
),

label_changes as (
    {{ label_history('implied_labels') }}
)

select * from label_changes
