{# The draws of two models that are compared, on the examples and customers that they have in common. #}
with comparisons as (
    select * from {{ ref('model_comparisons') }}
),

replicates as (
    select * from {{ ref('bootstrap_replicates') }}
    where draw_count = {{ var('bootstrap_replicates') }}
),

paired as (
    select
        comparisons.model_id,
        comparisons.compared_model_id,
        comparisons.evaluation_snapshot_id,
        own.replicate,
        {%- for metric in drawn_metric_names() %}
        own.{{ metric }},
        compared.{{ metric }} as compared_{{ metric }},
        {%- endfor %}
        comparisons.example_count,
        comparisons.customer_count
    from comparisons
    inner join replicates as own
        on
            comparisons.model_id = own.model_id
            and comparisons.evaluation_snapshot_id = own.evaluation_snapshot_id
            and comparisons.examples_hash = own.examples_hash
    inner join replicates as compared
        on
            comparisons.compared_model_id = compared.model_id
            and comparisons.evaluation_snapshot_id = compared.evaluation_snapshot_id
            and comparisons.examples_hash = compared.examples_hash
            and own.replicate = compared.replicate
)

select * from paired
