{# Of the ordered values of the replicates, those that leave a fortieth on either side. #}
{%- set metrics = ['roc_auc', 'pr_auc', 'log_loss', 'brier', 'accuracy'] -%}

with replicates as (
    select * from {{ ref('newest_replicates') }}
),

one_row_per_metric as (
    {%- for metric in metrics %}
    select
        model_id,
        evaluation_snapshot_id,
        replicate,
        '{{ metric }}' as metric,
        {{ metric }} as value
    from replicates
    where {{ metric }} is not null
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
),

ordered as (
    select
        *,
        row_number() over (
            partition by model_id, evaluation_snapshot_id, metric
            order by value, replicate
        ) as place,
        count(*) over (partition by model_id, evaluation_snapshot_id, metric) as value_count
    from one_row_per_metric
),

intervals as (
    select
        model_id,
        evaluation_snapshot_id,
        metric,
        value_count as replicate_count,
        max(case when place = floor(value_count / 40) + 1 then value end) as value_lower,
        max(case when place = value_count - floor(value_count / 40) then value end) as value_upper
    from ordered
    group by model_id, evaluation_snapshot_id, metric, value_count
)

select * from intervals
-- where many draws do not define a metric, the others are no fair picture of it
where replicate_count >= {{ least_draws() }}
