{# A query that judges how well the probability of each class ranks, by scikit-learn's definitions: one row per `keys` and `class_label`,
   with roc_auc and pr_auc, null where they are undefined. Its arguments are those of `ranking`. #}
{% macro ranking_by_class(thresholds, keys) -%}
    {%- set columns = keys | join(', ') -%}
    with cumulated as (
        select
            {{ columns }},
            class_label,
            positives,
            negatives,
            sum(positives) over down_to_here as positives_so_far,
            sum(negatives) over down_to_here as negatives_so_far
        from {{ thresholds }}
        window down_to_here as (
            partition by {{ columns }}, class_label
            order by probability desc
            rows between unbounded preceding and current row
        )
    )

    -- roc: of all pairs of a positive and a negative the share with the positive above; a tie is half
    -- pr: the precision at each threshold, weighted with the positives that it adds
    select
        {{ columns }},
        class_label,
        sum(negatives * (positives_so_far - positives / 2))
        / nullif(sum(positives) * sum(negatives), 0) as roc_auc,
        sum(positives * positives_so_far / (positives_so_far + negatives_so_far))
        / nullif(sum(positives), 0) as pr_auc
    from cumulated
    group by {{ columns }}, class_label
{%- endmacro %}
