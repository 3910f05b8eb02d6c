{# A query that judges how well probabilities rank, by scikit-learn's definitions: one row per `keys`, `roc_auc` and `pr_auc` as
   means over the classes, null where they are undefined for one of them.

   thresholds: name of a relation or CTE with the keys, class_label, probability, positives, negatives; one row per distinct
               probability, with the (weighted) examples that have it.
   keys:       list of the columns that tell evaluations apart. #}
{% macro ranking(thresholds, keys) -%}
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
    ),

    -- roc: of all pairs of a positive and a negative the share with the positive above; a tie is half
    -- pr: the precision at each threshold, weighted with the positives that it adds
    ranking_by_class as (
        select
            {{ columns }},
            class_label,
            sum(negatives * (positives_so_far - positives / 2))
            / nullif(sum(positives) * sum(negatives), 0) as roc_auc,
            sum(positives * positives_so_far / (positives_so_far + negatives_so_far))
            / nullif(sum(positives), 0) as pr_auc
        from cumulated
        group by {{ columns }}, class_label
    )

    -- the mean over the classes is undefined as soon as one of them is
    select
        {{ columns }},
        case when count(roc_auc) = count(*) then avg(roc_auc) end as roc_auc,
        case when count(pr_auc) = count(*) then avg(pr_auc) end as pr_auc
    from ranking_by_class
    group by {{ columns }}
{%- endmacro %}
