{# A query that judges how well probabilities rank, by scikit-learn's definitions: one row per `keys`, `roc_auc` and `pr_auc` as
   means over the classes, null where they are undefined for one of them. `roc_auc_of_labels` is the mean over the classes that the
   examples have, null where they have less than two.

   thresholds: name of a relation or CTE with the keys, class_label, probability, positives, negatives; one row per distinct
               probability, with the (weighted) examples that have it.
   keys:       list of the columns that tell evaluations apart. #}
{% macro ranking(thresholds, keys) -%}
    {%- set columns = keys | join(', ') -%}
    with ranked_classes as (
        {{ ranking_by_class(thresholds, keys) | indent(8) }}
    )

    select
        {{ columns }},
        avg(roc_auc) as roc_auc_of_labels,
        case when count(roc_auc) = count(*) then avg(roc_auc) end as roc_auc,
        case when count(pr_auc) = count(*) then avg(pr_auc) end as pr_auc
    from ranked_classes
    group by {{ columns }}
{%- endmacro %}
