-- A row of an erased object in a table that keeps its rows from build to build. A vector that landed before its object was known
-- can be one: land the request again under another event_id.
with erased_subjects as (
    select * from {{ ref('erased_subjects') }}
),

kept_rows as (
    {%- for model in [
        'measured_embedding_events', 'stg_embedding_events', 'dataset_snapshots', 'evaluation_scores', 'predictions',
    ] %}
    select
        '{{ model }}' as table_name,
        object_id
    from {{ ref(model) }}
    union all
    {%- endfor %}
    -- no vector, no prediction: a score that is left alone would not be found by its object
    select
        'prediction_scores' as table_name,
        events.object_id
    from {{ ref('prediction_scores') }} as scores
    left join {{ ref('stg_embedding_events') }} as events
        on scores.event_id = events.event_id
)

select distinct kept_rows.table_name
from kept_rows
left join erased_subjects
    on
        erased_subjects.scope = 'object'
        and kept_rows.object_id = erased_subjects.subject_id
where kept_rows.object_id is null or erased_subjects.subject_id is not null
