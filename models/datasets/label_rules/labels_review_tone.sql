{%- set min_ratings = 10 -%}

with verdicts as (
    select * from {{ ref('rating_verdicts') }}
    where task = 'review_tone' and rating_count >= {{ min_ratings }}
),

-- a tie of both halves is negative, so that the two tasks never contradict each other
toned as (
    select
        dataset_id,
        task,
        object_id,
        object_version,
        case
            when 2 * negative_count >= rating_count then 'negative'
            when 2 * positive_count >= rating_count then 'positive'
            else 'neutral'
        end as label,
        rating_count,
        negative_count,
        positive_count,
        known_at
    from verdicts
),

implied_labels as (
    select
        dataset_id,
        task,
        object_id,
        object_version,
        label,
        rating_count as raw_event_count,
        case label
            when 'negative' then negative_count
            when 'positive' then positive_count
            else rating_count - negative_count - positive_count
        end / rating_count as agreement,
        known_at
    from toned
),

label_changes as (
    {{ label_history('implied_labels') }}
)

select * from label_changes
