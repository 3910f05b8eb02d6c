-- A row of an erased object or customer in a table that keeps its rows from build to build, or a score whose vector is gone. A
-- vector that was staged before its object was known is removed by the build after.
with erased_subjects as (
    select * from {{ ref('erased_subjects') }}
),

kept_rows as (
    {%- for model, scope, column in [
        ('measured_embedding_events', 'object', 'object_id'),
        ('stg_embedding_events', 'object', 'object_id'),
        ('dataset_candidates', 'object', 'object_id'),
        ('dataset_candidates', 'customer', 'split_group_id'),
        ('dataset_snapshots', 'object', 'object_id'),
        ('dataset_snapshots', 'customer', 'split_group_id'),
        ('evaluation_scores', 'object', 'object_id'),
        ('prediction_scores', 'event', 'event_id'),
        ('predictions', 'object', 'object_id'),
    ] %}
    select
        '{{ model }}' as table_name,
        {{ subject_hash(scope, column) }} as subject_hash
    from {{ ref(model) }}
    {{- "\n    union all" if not loop.last }}
    {%- endfor %}
)

select distinct kept_rows.table_name
from kept_rows
inner join erased_subjects
    on kept_rows.subject_hash = erased_subjects.subject_hash
