{# Of the draws of one model and snapshot those of its examples as they were last. #}
with replicates as (
    select * from {{ ref('bootstrap_replicates') }}
),

newest as (
    select
        model_id,
        evaluation_snapshot_id,
        examples_hash,
        draw_count,
        replicate,
        roc_auc,
        pr_auc,
        log_loss,
        brier,
        accuracy,
        drawn_at
    from replicates
    qualify rank() over (
        partition by model_id, evaluation_snapshot_id
        order by drawn_at desc
    ) = 1
)

select * from newest
