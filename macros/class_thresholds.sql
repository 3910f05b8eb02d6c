{# A query that counts the examples at each probability of a class, which is what `ranking` and `ranking_by_class` read: one row per `keys`,
   class_label and probability, with positives and negatives. Equal probabilities are one threshold: their order is nobody's.
   classes: name of a relation or CTE with the keys, class_label, probability, is_label. #}
{% macro class_thresholds(classes, keys) -%}
    {%- set columns = keys | join(', ') -%}
    select
        {{ columns }},
        class_label,
        probability,
        count(case when is_label then 1 end) as positives,
        count(case when not is_label then 1 end) as negatives
    from {{ classes }}
    group by {{ columns }}, class_label, probability
{%- endmacro %}
