{%- set keys = ['model_id', 'evaluation_snapshot_id'] %}

with replicates as (
    select * from {{ ref('paired_replicates') }}
    where compared_model_id = model_id and replicate > 0
),

drawn as (
    {{- one_row_per_metric('replicates', keys, drawn_metric_names(), beside = ['replicate']) }}
),

intervals as (
    {{ draw_intervals('drawn', keys + ['metric']) | indent(4) }}
)

select * from intervals
