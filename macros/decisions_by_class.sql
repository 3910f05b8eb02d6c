{# A query that counts decisions class by class: one row per `keys` and `class_label`, for the classes that are a label or predicted, with
   labelled, predicted, correct, precision, recall and f1; null where nothing is predicted, or nothing is labelled.

   examples: name of a relation or CTE with the keys, label, predicted_label; one row per example. #}
{% macro decisions_by_class(examples, keys) -%}
    {%- set columns = keys | join(', ') -%}
    -- each example counts once for its label and once for its predicted label
    with counted as (
        {%- for side in ['label', 'predicted_label'] %}
        select
            {{ columns }},
            {{ side }} as class_label,
            {{ 1 if side == 'label' else 0 }} as labelled,
            {{ 0 if side == 'label' else 1 }} as predicted,
            {{ 'case when label = predicted_label then 1 else 0 end' if side == 'label' else 0 }} as correct
        from {{ examples }}
        {%- if not loop.last %}
        union all
        {%- endif %}
        {%- endfor %}
    ),

    summed as (
        select
            {{ columns }},
            class_label,
            sum(labelled) as labelled,
            sum(predicted) as predicted,
            sum(correct) as correct
        from counted
        group by {{ columns }}, class_label
    )

    select
        *,
        correct / nullif(predicted, 0) as precision,
        correct / nullif(labelled, 0) as recall,
        2 * correct / (labelled + predicted) as f1
    from summed
{%- endmacro %}
