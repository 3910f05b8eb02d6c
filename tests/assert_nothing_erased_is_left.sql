-- A row of an erased object or customer in a table that keeps its rows from build to build, or a score whose vector is gone. A
-- vector that was staged before its object was known is removed by the build after.
with erased_subjects as (
    select * from {{ ref('erased_subjects') }}
),

kept_rows as (
    {%- for model in [
        'measured_embedding_events', 'stg_embedding_events', 'dataset_candidates', 'dataset_snapshots', 'evaluation_scores', 'predictions',
    ] %}
    select
        '{{ model }}' as table_name,
        {{ subject_hash('object', 'object_id') }} as subject_hash
    from {{ ref(model) }}
    union all
    {%- endfor %}
    {%- for model in ['dataset_candidates', 'dataset_snapshots'] %}
    select
        '{{ model }}' as table_name,
        {{ subject_hash('customer', 'split_group_id') }} as subject_hash
    from {{ ref(model) }}
    union all
    {%- endfor %}
    select
        'prediction_scores' as table_name,
        {{ subject_hash('event', 'event_id') }} as subject_hash
    from {{ ref('prediction_scores') }}
)

select distinct kept_rows.table_name
from kept_rows
inner join erased_subjects
    on kept_rows.subject_hash = erased_subjects.subject_hash
