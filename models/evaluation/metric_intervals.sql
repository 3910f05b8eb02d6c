{%- set keys = ['model_id', 'evaluation_snapshot_id'] %}

with replicates as (
    select * from {{ ref('newest_replicates') }}
),

drawn as (
    {{- one_row_per_metric('replicates', keys, drawn_metric_names(), beside = ['replicate']) }}
),

intervals as (
    {{ draw_intervals('drawn', keys + ['metric']) | indent(4) }}
)

select * from intervals
